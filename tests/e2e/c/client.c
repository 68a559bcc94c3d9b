/*
 * Drives a server with the C client (libzookeeper_mt): `client HOST:PORT`.
 *
 * Prints "ok NAME" or "FAIL NAME why" for each check and exits with 1 if any failed. The line
 * "restart" asks the harness to kill the server with SIGKILL and to start it again; it answers
 * "restarted" on standard input.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define TIMEOUT_MS 20000
#define WAIT_SECONDS 60
#define EVENTS_MAX 64
#define PIPELINED 300

#define TEXT(x) #x
#define LINE(x) TEXT(x)
/* Ends a check; its text becomes the FAIL line. */
#define THAT(condition) \
    do { \
        if (!(condition)) return "line " LINE(__LINE__) ": " #condition; \
    } while (0)
#define PASS NULL

struct event {
    int type, state;
    char path[128];
};

/* What a watcher was told. Session events count apart: `connects` and `disconnects`. */
struct events {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct event seen[EVENTS_MAX];
    int count, taken, connects, disconnects, expired;
};

static const char *server;

static void init(struct events *events) {
    memset(events, 0, sizeof *events);
    pthread_mutex_init(&events->mutex, NULL);
    pthread_cond_init(&events->changed, NULL);
}

static void watcher(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh;
    struct events *events = context;
    pthread_mutex_lock(&events->mutex);
    if (type == ZOO_SESSION_EVENT) {
        events->connects += state == ZOO_CONNECTED_STATE;
        events->disconnects += state == ZOO_CONNECTING_STATE;
        events->expired += state == ZOO_EXPIRED_SESSION_STATE;
    } else if (events->count < EVENTS_MAX) {
        struct event *event = &events->seen[events->count++];
        event->type = type;
        event->state = state;
        snprintf(event->path, sizeof event->path, "%s", path);
    }
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->mutex);
}

static struct timespec deadline(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += WAIT_SECONDS;
    return at;
}

/* Waits until the counter reaches `least`; counters only grow. */
static bool reaches(struct events *events, int *counter, int least) {
    struct timespec until = deadline();
    int late = 0;
    pthread_mutex_lock(&events->mutex);
    while (*counter < least && late == 0)
        late = pthread_cond_timedwait(&events->changed, &events->mutex, &until);
    bool reached = *counter >= least;
    pthread_mutex_unlock(&events->mutex);
    return reached;
}

/* The next event must be this one. */
static bool told(struct events *events, int type, const char *path) {
    if (!reaches(events, &events->count, events->taken + 1)) return false;
    struct event *event = &events->seen[events->taken++];
    if (event->type == type && strcmp(event->path, path) == 0) return true;
    fprintf(stderr, "event %d %s, expected %d %s\n", event->type, event->path, type, path);
    return false;
}

/* Nothing further was told; call it after a later round trip and it cannot be still on its way. */
static bool quiet(struct events *events) {
    usleep(100 * 1000);
    pthread_mutex_lock(&events->mutex);
    bool none = events->count == events->taken;
    pthread_mutex_unlock(&events->mutex);
    return none;
}

static zhandle_t *reopen(struct events *events, const clientid_t *id) {
    init(events);
    zhandle_t *zh = zookeeper_init(server, watcher, TIMEOUT_MS, id, events, 0);
    if (zh != NULL && reaches(events, &events->connects, 1)) return zh;
    fprintf(stderr, "no connection\n");
    exit(1);
}

static zhandle_t *open_session(struct events *events) { return reopen(events, NULL); }

static const char *basic(void) {
    struct events events;
    zhandle_t *zh = open_session(&events);
    char path[64], data[64];
    int length = sizeof data;
    struct Stat stat, stat2;
    THAT(zoo_create(zh, "/basic", "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(strcmp(path, "/basic") == 0);
    THAT(zoo_get(zh, "/basic", 0, data, &length, &stat) == ZOK);
    THAT(length == 3 && memcmp(data, "one", 3) == 0);
    THAT(stat.version == 0 && stat.czxid == stat.mzxid && stat.dataLength == 3);
    THAT(zoo_set2(zh, "/basic", "two", 3, 0, &stat2) == ZOK);
    THAT(stat2.version == 1 && stat2.mzxid > stat.mzxid);
    THAT(zoo_set(zh, "/basic", "x", 1, 0) == ZBADVERSION);
    THAT(zoo_create(zh, "/basic", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZNODEEXISTS);
    THAT(zoo_exists(zh, "/none", 0, &stat) == ZNONODE);
    THAT(zoo_create(zh, "/none/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZNONODE);
    /* A length of -1 is null data, and stays it. */
    THAT(zoo_create2(zh, "/basic/null", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path, &stat) == ZOK);
    THAT(stat.dataLength == 0);
    length = sizeof data;
    THAT(zoo_get(zh, "/basic/null", 0, data, &length, &stat) == ZOK && length == -1);
    THAT(zoo_delete(zh, "/basic", -1) == ZNOTEMPTY);
    struct String_vector names;
    THAT(zoo_get_children2(zh, "/basic", 0, &names, &stat) == ZOK);
    THAT(names.count == 1 && strcmp(names.data[0], "null") == 0 && stat.numChildren == 1);
    deallocate_String_vector(&names);
    THAT(zoo_delete(zh, "/basic/null", 0) == ZOK);
    THAT(zoo_delete(zh, "/basic", 1) == ZOK);
    THAT(zoo_exists(zh, "/basic", 0, &stat) == ZNONODE);
    zookeeper_close(zh);
    return PASS;
}

static const char *modes(void) {
    struct events events, gone;
    zhandle_t *zh = open_session(&events);
    zhandle_t *other = open_session(&gone);
    char path[64];
    struct Stat stat;
    int sequential = ZOO_EPHEMERAL | ZOO_SEQUENCE;
    THAT(zoo_create(zh, "/modes", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(zoo_create(zh, "/modes/e-", "", 0, &ZOO_OPEN_ACL_UNSAFE, sequential, path, sizeof path) == ZOK);
    THAT(strcmp(path, "/modes/e-0000000000") == 0);
    THAT(zoo_wexists(other, path, watcher, &gone, &stat) == ZOK);
    THAT(stat.ephemeralOwner == zoo_client_id(zh)->client_id);
    THAT(zoo_create(zh, "/modes/e-0000000000/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) ==
         ZNOCHILDRENFOREPHEMERALS);
    int container = ZOO_CONTAINER, ttl = ZOO_PERSISTENT_WITH_TTL;
    THAT(zoo_create(zh, "/modes/box", "", 0, &ZOO_OPEN_ACL_UNSAFE, container, path, sizeof path) == ZOK);
    THAT(zoo_create(zh, "/modes/box/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(zoo_wexists(other, "/modes/box", watcher, &gone, &stat) == ZOK && stat.ephemeralOwner == 0);
    THAT(zoo_delete(zh, "/modes/box/c", -1) == ZOK);
    THAT(told(&gone, ZOO_DELETED_EVENT, "/modes/box"));
    THAT(zoo_create_ttl(zh, "/modes/ttl", "", 0, &ZOO_OPEN_ACL_UNSAFE, ttl, 300, path, sizeof path) == ZOK);
    THAT(zoo_wexists(other, "/modes/ttl", watcher, &gone, &stat) == ZOK && stat.ephemeralOwner == 0);
    THAT(told(&gone, ZOO_DELETED_EVENT, "/modes/ttl"));
    zookeeper_close(zh);
    THAT(told(&gone, ZOO_DELETED_EVENT, "/modes/e-0000000000"));
    zookeeper_close(other);
    return PASS;
}

static const char *multi(void) {
    struct events events;
    zhandle_t *zh = open_session(&events);
    char path[64], sequential[64], data[64];
    int length = sizeof data;
    struct Stat stat;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    zoo_create_op_init(&ops[0], "/multi", "0", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_create_op_init(
        &ops[1], "/multi/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, sequential, sizeof sequential);
    zoo_set_op_init(&ops[2], "/multi", "1", 1, 0, &stat);
    zoo_check_op_init(&ops[3], "/multi", 1);
    THAT(zoo_multi(zh, 4, ops, results) == ZOK);
    THAT(strcmp(sequential, "/multi/s-0000000000") == 0 && stat.version == 1);

    zoo_set_op_init(&ops[0], "/multi", "lost", 4, -1, &stat);
    zoo_delete_op_init(&ops[1], "/multi/none", -1);
    zoo_check_op_init(&ops[2], "/multi", 1);
    THAT(zoo_multi(zh, 3, ops, results) == ZNONODE);
    THAT(results[0].err == ZOK && results[1].err == ZNONODE && results[2].err == ZRUNTIMEINCONSISTENCY);
    THAT(zoo_get(zh, "/multi", 0, data, &length, &stat) == ZOK && length == 1 && data[0] == '1');
    zookeeper_close(zh);
    return PASS;
}

/* What the completions of one handle have seen; they run on one thread of the library. */
struct replies {
    struct events done; /* Counted in `connects`. */
    int wrong;
};

static void reply(struct replies *replies, bool right) {
    pthread_mutex_lock(&replies->done.mutex);
    replies->wrong += !right;
    replies->done.connects++;
    pthread_cond_broadcast(&replies->done.changed);
    pthread_mutex_unlock(&replies->done.mutex);
}

static void on_set(int rc, const struct Stat *stat, const void *context) {
    struct replies *replies = (struct replies *)context;
    reply(replies, rc == ZOK && stat->version == replies->done.connects + 1);
}

static void on_sync(int rc, const char *path, const void *context) {
    reply((struct replies *)context, rc == ZOK && strcmp(path, "/pipe") == 0);
}

static void on_done(int rc, const void *context) { reply((struct replies *)context, rc == ZOK); }

static const char *pipelined_and_sync(void) {
    struct events events;
    struct replies replies = {.wrong = 0};
    init(&replies.done);
    zhandle_t *zh = open_session(&events);
    char path[64];
    THAT(zoo_create(zh, "/pipe", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    for (int i = 0; i < PIPELINED; i++) THAT(zoo_aset(zh, "/pipe", "x", 1, -1, on_set, &replies) == ZOK);
    THAT(zoo_async(zh, "/pipe", on_sync, &replies) == ZOK);
    THAT(reaches(&replies.done, &replies.done.connects, PIPELINED + 1));
    THAT(replies.wrong == 0);
    zookeeper_close(zh);
    return PASS;
}

static const char *auth_and_acls(void) {
    struct events events, events2;
    struct replies replies = {.wrong = 0};
    init(&replies.done);
    zhandle_t *zh = open_session(&events);
    zhandle_t *stranger = open_session(&events2);
    char path[64], data[64];
    int length = sizeof data;
    struct Stat stat;
    struct ACL_vector acl;
    THAT(zoo_add_auth(zh, "digest", "cee:pw", 6, on_done, &replies) == ZOK);
    THAT(reaches(&replies.done, &replies.done.connects, 1) && replies.wrong == 0);
    THAT(zoo_create(zh, "/acl", "m", 1, &ZOO_CREATOR_ALL_ACL, 0, path, sizeof path) == ZOK);
    THAT(zoo_get(stranger, "/acl", 0, data, &length, &stat) == ZNOAUTH);
    THAT(zoo_create(stranger, "/acl2", "", 0, &ZOO_CREATOR_ALL_ACL, 0, path, sizeof path) == ZINVALIDACL);
    THAT(zoo_get_acl(zh, "/acl", &acl, &stat) == ZOK && acl.count == 1);
    THAT(strcmp(acl.data[0].id.scheme, "digest") == 0 && strncmp(acl.data[0].id.id, "cee:", 4) == 0);
    deallocate_ACL_vector(&acl);
    THAT(zoo_add_auth(stranger, "digest", "cee:pw", 6, on_done, &replies) == ZOK);
    THAT(zoo_get(stranger, "/acl", 0, data, &length, &stat) == ZOK && data[0] == 'm');
    THAT(zoo_set_acl(zh, "/acl", 0, &ZOO_READ_ACL_UNSAFE) == ZOK);
    THAT(zoo_set_acl(zh, "/acl", 0, &ZOO_READ_ACL_UNSAFE) == ZNOAUTH);
    THAT(zoo_set(zh, "/acl", "x", 1, -1) == ZNOAUTH);
    zookeeper_close(stranger);
    zookeeper_close(zh);
    return PASS;
}

static const char *watches(void) {
    struct events events, events2, made, data_events, list;
    init(&made);
    init(&data_events);
    init(&list);
    zhandle_t *zh = open_session(&events);
    zhandle_t *other = open_session(&events2);
    char path[64], data[64];
    int length = sizeof data;
    struct Stat stat;
    struct String_vector names;
    THAT(zoo_wexists(zh, "/w", watcher, &made, &stat) == ZNONODE);
    THAT(zoo_create(other, "/w", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(told(&made, ZOO_CREATED_EVENT, "/w"));
    THAT(zoo_wget(zh, "/w", watcher, &data_events, data, &length, &stat) == ZOK);
    THAT(zoo_wget_children(zh, "/w", watcher, &list, &names) == ZOK);
    deallocate_String_vector(&names);
    THAT(zoo_set(other, "/w", "1", 1, -1) == ZOK);
    THAT(told(&data_events, ZOO_CHANGED_EVENT, "/w"));
    THAT(zoo_set(other, "/w", "2", 1, -1) == ZOK);
    THAT(zoo_create(other, "/w/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(told(&list, ZOO_CHILD_EVENT, "/w"));
    THAT(zoo_exists(zh, "/", 0, &stat) == ZOK);
    THAT(quiet(&data_events) && quiet(&made) && quiet(&list));
    zookeeper_close(other);
    zookeeper_close(zh);
    return PASS;
}

static const char *remove_watches(void) {
    struct events events, first, second;
    init(&first);
    init(&second);
    zhandle_t *zh = open_session(&events);
    char path[64], data[64];
    int length = sizeof data;
    struct Stat stat;
    THAT(zoo_create(zh, "/rw", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(zoo_wget(zh, "/rw", watcher, &first, data, &length, &stat) == ZOK);
    THAT(zoo_wexists(zh, "/rw", watcher, &second, &stat) == ZOK);
    THAT(zoo_remove_watches(zh, "/rw", ZWATCHTYPE_DATA, watcher, &first, 0) == ZOK);
    THAT(zoo_remove_watches(zh, "/rw", ZWATCHTYPE_DATA, watcher, &first, 0) == ZNOWATCHER);
    THAT(zoo_set(zh, "/rw", "x", 1, -1) == ZOK);
    THAT(told(&second, ZOO_CHANGED_EVENT, "/rw"));
    THAT(zoo_wexists(zh, "/rw", watcher, &second, &stat) == ZOK);
    THAT(zoo_remove_all_watches(zh, "/rw", ZWATCHTYPE_ANY, 0) == ZOK);
    THAT(zoo_remove_all_watches(zh, "/rw", ZWATCHTYPE_ANY, 0) == ZNOWATCHER);
    THAT(zoo_set(zh, "/rw", "y", 1, -1) == ZOK);
    THAT(zoo_exists(zh, "/", 0, &stat) == ZOK);
    THAT(quiet(&first));
    /* The library itself tells a removal, with a type of its own (-2 has no name in its header). */
    for (int i = second.taken; i < second.count; i++) THAT(second.seen[i].type != ZOO_CHANGED_EVENT);
    zookeeper_close(zh);
    return PASS;
}

/* Another process opens the session and dies without closing it. */
static const char *session_reattach(void) {
    clientid_t id;
    struct events events;
    /* A new program, since threads do not survive a fork. */
    char command[256];
    snprintf(command, sizeof command, "/proc/%d/exe %s leave", getpid(), server);
    FILE *child = popen(command, "r");
    THAT(child != NULL && fread(&id, sizeof id, 1, child) == 1);
    pclose(child);
    zhandle_t *zh = reopen(&events, &id);
    struct Stat stat;
    THAT(zoo_client_id(zh)->client_id == id.client_id);
    THAT(zoo_exists(zh, "/left", 0, &stat) == ZOK && stat.ephemeralOwner == id.client_id);
    zookeeper_close(zh);
    /* The session is closed now; who comes with it is told that it expired. */
    init(&events);
    zh = zookeeper_init(server, watcher, TIMEOUT_MS, &id, &events, 0);
    THAT(zh != NULL && reaches(&events, &events.expired, 1));
    zookeeper_close(zh);
    return PASS;
}

static int leave(void) {
    struct events events;
    char path[64];
    zhandle_t *zh = open_session(&events);
    if (zoo_create(zh, "/left", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, path, sizeof path) != ZOK) return 1;
    fwrite(zoo_client_id(zh), sizeof(clientid_t), 1, stdout);
    fflush(stdout);
    _exit(0);
}

static const char *config_and_reconfig(void) {
    struct events events;
    zhandle_t *zh = open_session(&events);
    char data[1024];
    int length = sizeof data;
    struct Stat stat;
    THAT(zoo_getconfig(zh, 0, data, &length, &stat) == ZOK);
    THAT(length == (stat.dataLength == 0 ? length : stat.dataLength));
    length = sizeof data;
    THAT(zoo_reconfig(zh, "server.9=127.0.0.1:2888:3888;2181", NULL, NULL, -1, data, &length, &stat) ==
         ZRECONFIGDISABLED);
    zookeeper_close(zh);
    return PASS;
}

static const char *restart(void) {
    struct events events, events2, data_events, list, made;
    init(&data_events);
    init(&list);
    init(&made);
    zhandle_t *zh = open_session(&events);
    char path[64], data[64], answer[32];
    int length = sizeof data;
    struct Stat stat;
    struct String_vector names;
    THAT(zoo_add_auth(zh, "digest", "cee:pw", 6, NULL, NULL) == ZOK);
    THAT(zoo_create(zh, "/restart", "0", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(zoo_create(zh, "/restart/mine", "m", 1, &ZOO_CREATOR_ALL_ACL, 0, path, sizeof path) == ZOK);
    THAT(zoo_create(zh, "/restart/eph", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, path, sizeof path) == ZOK);
    THAT(zoo_wget(zh, "/restart", watcher, &data_events, data, &length, &stat) == ZOK);
    THAT(zoo_wget_children(zh, "/restart", watcher, &list, &names) == ZOK);
    deallocate_String_vector(&names);
    THAT(zoo_wexists(zh, "/restart/made", watcher, &made, &stat) == ZNONODE);
    clientid_t id = *zoo_client_id(zh);

    printf("restart\n");
    fflush(stdout);
    THAT(fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "restarted\n") == 0);
    THAT(reaches(&events, &events.disconnects, 1));
    THAT(reaches(&events, &events.connects, 2));

    THAT(memcmp(zoo_client_id(zh), &id, sizeof id) == 0);
    THAT(zoo_exists(zh, "/restart/eph", 0, &stat) == ZOK && stat.ephemeralOwner == id.client_id);
    length = sizeof data;
    THAT(zoo_get(zh, "/restart/mine", 0, data, &length, &stat) == ZOK && data[0] == 'm');
    zhandle_t *other = open_session(&events2);
    THAT(zoo_set(other, "/restart", "1", 1, 0) == ZOK);
    THAT(told(&data_events, ZOO_CHANGED_EVENT, "/restart"));
    THAT(zoo_create(other, "/restart/made", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    THAT(told(&made, ZOO_CREATED_EVENT, "/restart/made"));
    THAT(told(&list, ZOO_CHILD_EVENT, "/restart"));
    zookeeper_close(other);
    zookeeper_close(zh);
    return PASS;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        const char *(*body)(void);
    } checks[] = {
        {"basic", basic},
        {"modes", modes},
        {"multi", multi},
        {"pipelined_and_sync", pipelined_and_sync},
        {"auth_and_acls", auth_and_acls},
        {"watches", watches},
        {"remove_watches", remove_watches},
        {"session_reattach", session_reattach},
        {"config_and_reconfig", config_and_reconfig},
        {"restart", restart},
    };
    if (count < 2) return 2;
    server = arguments[1];
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    if (count == 3) return leave();
    bool failed = false;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const char *why = checks[i].body();
        if (why == PASS) {
            printf("ok %s\n", checks[i].name);
        } else {
            printf("FAIL %s %s\n", checks[i].name, why);
            failed = true;
        }
        fflush(stdout);
    }
    /* Handles of failed checks are left open, and with them their threads. */
    _exit(failed ? 1 : 0);
}
