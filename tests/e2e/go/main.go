// Drives a server with go-zookeeper: `client HOST:PORT`.
//
// Prints "ok NAME" or "FAIL NAME why" for each check and exits with 1 if any failed. The line
// "restart" asks the harness to kill the server with SIGKILL and to start it again; it answers
// "restarted" on standard input.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const wait = 60 * time.Second

var (
	server string
	open   = zk.WorldACL(zk.PermAll)
)

// fault ends a check; `check` turns it into a FAIL line.
type fault string

func fail(format string, args ...any) {
	panic(fault(fmt.Sprintf(format, args...)))
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func mustBe(expected, err error) {
	if !errors.Is(err, expected) {
		fail("expected %q, got %v", expected, err)
	}
}

func equal(expected, actual any, what string) {
	if !reflect.DeepEqual(expected, actual) {
		fail("%s: expected %v, got %v", what, expected, actual)
	}
}

func eventually(what string, condition func() bool) {
	for deadline := time.Now().Add(wait); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			fail("not within %v: %s", wait, what)
		}
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func connect() (*zk.Conn, <-chan zk.Event) {
	conn, events, err := zk.Connect([]string{server}, 20*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	must(err)
	awaitState(events, zk.StateHasSession)
	return conn, events
}

func awaitState(events <-chan zk.Event, state zk.State) {
	timeout := time.After(wait)
	for {
		select {
		case event := <-events:
			if event.Type == zk.EventSession && event.State == state {
				return
			}
		case <-timeout:
			fail("state %v was not reached within %v", state, wait)
		}
	}
}

func awaitEvent(events <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case event := <-events:
		equal(fmt.Sprint(kind, " ", path), fmt.Sprint(event.Type, " ", event.Path), "event")
	case <-time.After(wait):
		fail("no event %v %s within %v", kind, path, wait)
	}
}

func basic() {
	conn, _ := connect()
	defer conn.Close()
	path, err := conn.Create("/basic", []byte("one"), zk.FlagPersistent, open)
	must(err)
	equal("/basic", path, "path")
	data, stat, err := conn.Get("/basic")
	must(err)
	equal("one", string(data), "data")
	equal([]int64{0, 3, stat.Czxid}, []int64{int64(stat.Version), int64(stat.DataLength), stat.Mzxid}, "stat")
	stat, err = conn.Set("/basic", []byte("two"), 0)
	must(err)
	equal(int32(1), stat.Version, "version")
	_, err = conn.Set("/basic", nil, 0)
	mustBe(zk.ErrBadVersion, err)
	_, err = conn.Create("/basic", nil, 0, open)
	mustBe(zk.ErrNodeExists, err)
	_, _, err = conn.Get("/nothing")
	mustBe(zk.ErrNoNode, err)
	_, err = conn.Create("/basic/child", nil, 0, open)
	must(err)
	mustBe(zk.ErrNotEmpty, conn.Delete("/basic", -1))
	children, stat, err := conn.Children("/basic")
	must(err)
	equal([]string{"child"}, children, "children")
	equal(int32(1), stat.NumChildren, "numChildren")
	synced, err := conn.Sync("/basic")
	must(err)
	equal("/basic", synced, "path of sync")
	must(conn.Delete("/basic/child", -1))
	must(conn.Delete("/basic", 1))
	exists, _, err := conn.Exists("/basic")
	must(err)
	equal(false, exists, "exists after the delete")
}

func largeData() {
	conn, _ := connect()
	defer conn.Close()
	large := []byte(strings.Repeat("0123456789", 100_000))
	_, err := conn.Create("/large", large, 0, open)
	must(err)
	data, _, err := conn.Get("/large")
	must(err)
	equal(true, string(large) == string(data), "1 MB comes back as sent")
	must(conn.Delete("/large", -1))
}

func concurrentWriters() {
	conn, _ := connect()
	defer conn.Close()
	_, err := conn.Create("/writers", nil, 0, open)
	must(err)
	var group sync.WaitGroup
	faults := make(chan error, 32)
	for writer := 0; writer < 32; writer++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 20; i++ {
				if _, err := conn.Create("/writers/n-", nil, zk.FlagSequence, open); err != nil {
					faults <- err
					return
				}
			}
		}()
	}
	group.Wait()
	close(faults)
	for err := range faults {
		must(err)
	}
	children, _, err := conn.Children("/writers")
	must(err)
	sort.Strings(children)
	equal(640, len(children), "children")
	equal([]string{"n-0000000000", "n-0000000639"}, []string{children[0], children[639]}, "first and last")
}

func containerAndTTL() {
	conn, _ := connect()
	defer conn.Close()
	_, err := conn.CreateContainer("/box", nil, zk.FlagContainer, open)
	must(err)
	_, err = conn.Create("/box/c", nil, 0, open)
	must(err)
	must(conn.Delete("/box/c", -1))
	_, err = conn.CreateTTL("/ttl", nil, zk.FlagTTL, open, 300*time.Millisecond)
	must(err)
	path, err := conn.CreateTTL("/ttl-", nil, zk.FlagPersistentSequentialWithTTL, open, time.Hour)
	must(err)
	for _, gone := range []string{"/box", "/ttl"} {
		eventually(gone+" is reaped", func() bool {
			exists, _, err := conn.Exists(gone)
			must(err)
			return !exists
		})
	}
	exists, _, err := conn.Exists(path)
	must(err)
	equal(true, exists, "a long TTL stays")
}

func multi() {
	conn, _ := connect()
	defer conn.Close()
	results, err := conn.Multi(
		&zk.CreateRequest{Path: "/multi", Data: []byte("0"), Acl: open},
		&zk.CreateRequest{Path: "/multi/s-", Acl: open, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: "/multi", Data: []byte("1"), Version: 0},
		&zk.CheckVersionRequest{Path: "/multi", Version: 1},
		&zk.DeleteRequest{Path: "/multi/s-0000000000", Version: -1},
	)
	must(err)
	equal("/multi/s-0000000000", results[1].String, "sequential path")
	equal(int32(1), results[2].Stat.Version, "version")

	results, err = conn.Multi(
		&zk.SetDataRequest{Path: "/multi", Data: []byte("lost"), Version: -1},
		&zk.DeleteRequest{Path: "/multi/none", Version: -1},
		&zk.CheckVersionRequest{Path: "/multi", Version: -1},
	)
	mustBe(zk.ErrNoNode, err)
	equal(3, len(results), "results of a failed multi")
	equal([]any{nil, zk.ErrNoNode}, []any{results[0].Error, results[1].Error}, "errors")
	data, _, err := conn.Get("/multi")
	must(err)
	equal("1", string(data), "data")
}

func acls() {
	owner, _ := connect()
	defer owner.Close()
	stranger, _ := connect()
	defer stranger.Close()
	must(owner.AddAuth("digest", []byte("gus:pw")))
	mine := zk.DigestACL(zk.PermAll, "gus", "pw")
	_, err := owner.Create("/acl", []byte("m"), 0, zk.AuthACL(zk.PermAll))
	must(err)
	_, _, err = stranger.Get("/acl")
	mustBe(zk.ErrNoAuth, err)
	acl, stat, err := owner.GetACL("/acl")
	must(err)
	equal(mine, acl, "ACL")
	must(stranger.AddAuth("digest", []byte("gus:pw")))
	data, _, err := stranger.Get("/acl")
	must(err)
	equal("m", string(data), "data after AddAuth")
	stat, err = owner.SetACL("/acl", zk.WorldACL(zk.PermRead), stat.Aversion)
	must(err)
	equal(int32(1), stat.Aversion, "aversion")
	_, err = owner.Set("/acl", nil, -1)
	mustBe(zk.ErrNoAuth, err)
	_, err = owner.Create("/acl2", nil, 0, []zk.ACL{})
	mustBe(zk.ErrInvalidACL, err)
}

func watches() {
	conn, _ := connect()
	defer conn.Close()
	other, _ := connect()
	defer other.Close()
	exists, _, made, err := conn.ExistsW("/w")
	must(err)
	equal(false, exists, "exists")
	_, err = other.Create("/w", nil, 0, open)
	must(err)
	awaitEvent(made, zk.EventNodeCreated, "/w")
	_, _, data, err := conn.GetW("/w")
	must(err)
	_, _, list, err := conn.ChildrenW("/w")
	must(err)
	_, err = other.Set("/w", []byte("x"), -1)
	must(err)
	awaitEvent(data, zk.EventNodeDataChanged, "/w")
	_, err = other.Create("/w/c", nil, 0, open)
	must(err)
	awaitEvent(list, zk.EventNodeChildrenChanged, "/w")
	must(other.Delete("/w/c", -1))
	_, _, data, err = conn.GetW("/w")
	must(err)
	_, _, list, err = conn.ChildrenW("/w")
	must(err)
	must(other.Delete("/w", -1))
	awaitEvent(data, zk.EventNodeDeleted, "/w")
	awaitEvent(list, zk.EventNodeDeleted, "/w")
}

func ephemerals() {
	conn, _ := connect()
	other, _ := connect()
	defer other.Close()
	path, err := conn.CreateProtectedEphemeralSequential("/eph-", nil, open)
	must(err)
	exists, stat, gone, err := other.ExistsW(path)
	must(err)
	equal(true, exists, "exists")
	equal(conn.SessionID(), stat.EphemeralOwner, "owner")
	_, err = conn.Create(path+"/c", nil, 0, open)
	mustBe(zk.ErrNoChildrenForEphemerals, err)
	conn.Close()
	awaitEvent(gone, zk.EventNodeDeleted, path)
}

func locks() {
	one, _ := connect()
	defer one.Close()
	two, _ := connect()
	first, second := zk.NewLock(one, "/lock", open), zk.NewLock(two, "/lock", open)
	must(first.Lock())
	mustBe(zk.ErrDeadlock, first.Lock())
	got := make(chan error, 1)
	go func() { got <- second.Lock() }()
	select {
	case <-got:
		fail("a held lock was given")
	case <-time.After(300 * time.Millisecond):
	}
	must(first.Unlock())
	select {
	case err := <-got:
		must(err)
	case <-time.After(wait):
		fail("the second never got the lock")
	}
	two.Close() // Ends the session and with it the lock.
	must(first.Lock())
	must(first.Unlock())
}

// The library's parsers of srvr and cons no longer accept what Apache's server prints.
func fourLetterWords() {
	equal([]bool{true}, zk.FLWRuok([]string{server}, wait), "ruok")
}

func reconfigIsRefused() {
	conn, _ := connect()
	defer conn.Close()
	_, err := conn.IncrementalReconfig([]string{"server.9=127.0.0.1:2888:3888;2181"}, nil, -1)
	mustBe(zk.ErrReconfigDisabled, err)
}

// A connection that is lost and found again keeps its session, its watches and its identities.
func reconnect() {
	var mutex sync.Mutex
	var socket net.Conn
	dialer := func(network, address string, timeout time.Duration) (net.Conn, error) {
		conn, err := net.DialTimeout(network, address, timeout)
		mutex.Lock()
		defer mutex.Unlock()
		socket = conn
		return conn, err
	}
	conn, events, err := zk.Connect([]string{server}, 20*time.Second, zk.WithDialer(dialer), zk.WithLogger(quiet{}))
	must(err)
	defer conn.Close()
	awaitState(events, zk.StateHasSession)
	must(conn.AddAuth("digest", []byte("rec:pw")))
	_, err = conn.Create("/reconnect", []byte("m"), 0, zk.AuthACL(zk.PermAll))
	must(err)
	_, _, data, err := conn.GetW("/reconnect")
	must(err)
	session := conn.SessionID()
	mutex.Lock()
	socket.Close()
	mutex.Unlock()
	awaitState(events, zk.StateDisconnected)
	awaitState(events, zk.StateHasSession)
	equal(session, conn.SessionID(), "session")
	_, err = conn.Set("/reconnect", []byte("n"), -1)
	must(err)
	awaitEvent(data, zk.EventNodeDataChanged, "/reconnect")
}

func restart() {
	conn, events := connect()
	defer conn.Close()
	_, err := conn.Create("/restart", []byte("0"), 0, open)
	must(err)
	_, err = conn.Create("/restart/eph", nil, zk.FlagEphemeral, open)
	must(err)
	_, _, data, err := conn.GetW("/restart")
	must(err)
	_, _, list, err := conn.ChildrenW("/restart")
	must(err)
	session := conn.SessionID()

	fmt.Println("restart")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	must(err)
	equal("restarted\n", answer, "the harness's answer")
	awaitState(events, zk.StateDisconnected)
	awaitState(events, zk.StateHasSession)

	equal(session, conn.SessionID(), "session")
	_, stat, err := conn.Exists("/restart/eph")
	must(err)
	equal(session, stat.EphemeralOwner, "owner")
	other, _ := connect()
	defer other.Close()
	_, err = other.Set("/restart", []byte("1"), 0)
	must(err)
	awaitEvent(data, zk.EventNodeDataChanged, "/restart")
	must(other.Delete("/restart/eph", -1))
	awaitEvent(list, zk.EventNodeChildrenChanged, "/restart")
}

// check runs one check, with a deadline of its own, and tells whether it passed.
func check(name string, body func()) (passed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Second)
	defer cancel()
	done := make(chan string, 1)
	go func() {
		defer func() {
			switch why := recover().(type) {
			case nil:
				done <- ""
			case fault:
				done <- string(why)
			default:
				panic(why)
			}
		}()
		body()
	}()
	select {
	case why := <-done:
		if why != "" {
			fmt.Printf("FAIL %s %s\n", name, strings.ReplaceAll(why, "\n", " "))
			return false
		}
		fmt.Printf("ok %s\n", name)
		return true
	case <-ctx.Done():
		fmt.Printf("FAIL %s hangs\n", name)
		return false
	}
}

func main() {
	server = os.Args[1]
	passed := true
	for _, row := range []struct {
		name string
		body func()
	}{
		{"basic", basic},
		{"large_data", largeData},
		{"concurrent_writers", concurrentWriters},
		{"container_and_ttl", containerAndTTL},
		{"multi", multi},
		{"acls", acls},
		{"watches", watches},
		{"ephemerals", ephemerals},
		{"locks", locks},
		{"four_letter_words", fourLetterWords},
		{"reconfig_is_refused", reconfigIsRefused},
		{"reconnect", reconnect},
		{"restart", restart},
	} {
		passed = check(row.name, row.body) && passed
	}
	if !passed {
		os.Exit(1)
	}
}
