// Drives a server with node-zookeeper-client: `node client.js HOST:PORT`.
//
// Prints "ok NAME" or "FAIL NAME why" for each check and exits with 1 if any failed. The line
// "restart" asks the harness to kill the server with SIGKILL and to start it again; it answers
// "restarted" on standard input.
'use strict';

const assert = require('assert');
const crypto = require('crypto');
const readline = require('readline');
const zookeeper = require('node-zookeeper-client');

const { ACL, CreateMode, Event, Exception, Id, Permission, State } = zookeeper;
const SERVER = process.argv[2];
const WAIT_MS = 60000;

function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${WAIT_MS} ms`)), WAIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The result of one call of the library, which takes a callback last: [result, further results...].
function call(zk, method, ...args) {
  return within(method, new Promise((resolve, reject) => {
    zk[method](...args, (error, ...results) => (error ? reject(error) : resolve(results)));
  }));
}

async function refused(code, promise) {
  let outcome = 'it succeeded';
  try {
    await promise;
  } catch (error) {
    outcome = error.getCode ? error.getCode() : error;
  }
  assert.strictEqual(outcome, code);
}

function until(zk, state) {
  return within(`state ${state}`, new Promise((resolve) => {
    zk.on('state', function listen(reached) {
      if (reached === state) {
        zk.removeListener('state', listen);
        resolve();
      }
    });
  }));
}

async function connect(suffix = '') {
  const zk = zookeeper.createClient(SERVER + suffix, { sessionTimeout: 20000, spinDelay: 200 });
  const connected = until(zk, State.SYNC_CONNECTED);
  zk.connect();
  await connected;
  return zk;
}

// Apache's server, while it starts, may leave a connection open without ever answering (an exception
// in its closing code), and this library waits for the first answer without a limit.
function prodOnApache(zk) {
  if (process.env.E2E_SERVER !== 'apache') {
    return undefined;
  }
  return setInterval(() => zk.connectionManager.socket.destroy(), 3000);
}

// A watcher and the promise of its first event.
function watcher() {
  let tell;
  const event = new Promise((resolve) => { tell = resolve; });
  return [tell, async (type, path) => {
    const told = await within(`event of ${path}`, event);
    assert.deepStrictEqual([told.getType(), told.getPath()], [type, path]);
  }];
}

const checks = {
  async basic() {
    const zk = await connect();
    assert.deepStrictEqual(await call(zk, 'create', '/basic', Buffer.from('one')), ['/basic']);
    let [data, stat] = await call(zk, 'getData', '/basic');
    assert.deepStrictEqual([data.toString(), stat.version, stat.dataLength], ['one', 0, 3]);
    [stat] = await call(zk, 'setData', '/basic', Buffer.from('two'), 0);
    assert.strictEqual(stat.version, 1);
    await refused(Exception.BAD_VERSION, call(zk, 'setData', '/basic', Buffer.from('x'), 0));
    await refused(Exception.NODE_EXISTS, call(zk, 'create', '/basic'));
    await refused(Exception.NO_NODE, call(zk, 'getData', '/none'));
    await call(zk, 'mkdirp', '/basic/a');
    await refused(Exception.NOT_EMPTY, call(zk, 'remove', '/basic', -1));
    [data, stat] = await call(zk, 'getChildren', '/basic');
    assert.deepStrictEqual([data, stat.numChildren], [['a'], 1]);
    await call(zk, 'removeRecursive', '/basic', -1);
    assert.deepStrictEqual((await call(zk, 'exists', '/basic'))[0], null);
    zk.close();
  },

  async modes() {
    const zk = await connect();
    const other = await connect();
    await call(zk, 'create', '/modes');
    const [path] = await call(zk, 'create', '/modes/e-', null, CreateMode.EPHEMERAL_SEQUENTIAL);
    assert.strictEqual(path, '/modes/e-0000000000');
    const [tell, event] = watcher();
    const [stat] = await call(other, 'exists', path, tell);
    assert.deepStrictEqual(stat.ephemeralOwner, zk.getSessionId());
    await refused(Exception.NO_CHILDREN_FOR_EPHEMERALS, call(zk, 'create', path + '/c'));
    zk.close();
    await event(Event.NODE_DELETED, path);
    other.close();
  },

  async pipelined() {
    const zk = await connect();
    await call(zk, 'create', '/pipe');
    const versions = [];
    await Promise.all(Array.from({ length: 300 }, async (_, i) => {
      const [stat] = await call(zk, 'setData', '/pipe', Buffer.from(String(i)));
      versions.push(stat.version);
    }));
    assert.deepStrictEqual(versions, Array.from({ length: 300 }, (_, i) => i + 1));
    zk.close();
  },

  async transaction() {
    const zk = await connect();
    const results = await call(zk.transaction()
      .create('/tx', Buffer.from('0'))
      .create('/tx/s-', null, CreateMode.PERSISTENT_SEQUENTIAL)
      .setData('/tx', Buffer.from('1'), 0)
      .check('/tx', 1)
      .remove('/tx/s-0000000000'), 'commit');
    assert.strictEqual(results[0].length, 5);
    assert.strictEqual(results[0][1].path, '/tx/s-0000000000');
    assert.strictEqual(results[0][2].stat.version, 1);
    await refused(Exception.NO_NODE, call(
      zk.transaction().setData('/tx', Buffer.from('lost')).remove('/tx/none').check('/tx', 9), 'commit'));
    const [data] = await call(zk, 'getData', '/tx');
    assert.strictEqual(data.toString(), '1');
    zk.close();
  },

  async acls() {
    const owner = await connect();
    const stranger = await connect();
    owner.addAuthInfo('digest', Buffer.from('nat:pw'));
    await call(owner, 'create', '/acl', Buffer.from('m'), ACL.CREATOR_ALL_ACL);
    await refused(Exception.NO_AUTH, call(stranger, 'getData', '/acl'));
    const [acls, stat] = await call(owner, 'getACL', '/acl');
    const digest = crypto.createHash('sha1').update('nat:pw').digest('base64');
    assert.deepStrictEqual(acls, [new ACL(Permission.ALL, new Id('digest', 'nat:' + digest))]);
    assert.strictEqual(stat.aversion, 0);
    stranger.addAuthInfo('digest', Buffer.from('nat:pw'));
    assert.strictEqual((await call(stranger, 'getData', '/acl'))[0].toString(), 'm');
    await call(owner, 'setACL', '/acl', ACL.READ_ACL_UNSAFE, 0);
    await refused(Exception.NO_AUTH, call(owner, 'setData', '/acl', Buffer.from('x')));
    const unknown = [new ACL(Permission.ALL, new Id('nosuch', 'x'))];
    await refused(Exception.INVALID_ACL, call(owner, 'create', '/acl2', null, unknown));
    owner.close();
    stranger.close();
  },

  async auth_failed() {
    const zk = await connect();
    const failed = until(zk, State.AUTH_FAILED);
    zk.addAuthInfo('nosuch', Buffer.from('x'));
    await failed;
    zk.close();
  },

  async watches() {
    const zk = await connect();
    const other = await connect();
    const [tellMade, made] = watcher();
    await call(zk, 'exists', '/w', tellMade);
    await call(other, 'create', '/w');
    await made(Event.NODE_CREATED, '/w');
    const [tellData, data] = watcher();
    const [tellList, list] = watcher();
    await call(zk, 'getData', '/w', tellData);
    await call(zk, 'getChildren', '/w', tellList);
    await call(other, 'setData', '/w', Buffer.from('x'));
    await data(Event.NODE_DATA_CHANGED, '/w');
    await call(other, 'create', '/w/c');
    await list(Event.NODE_CHILDREN_CHANGED, '/w');
    const [tellGone, gone] = watcher();
    await call(zk, 'exists', '/w/c', tellGone);
    await call(other, 'remove', '/w/c');
    await gone(Event.NODE_DELETED, '/w/c');
    zk.close();
    other.close();
  },

  async chroot() {
    const zk = await connect();
    await call(zk, 'mkdirp', '/ch/root');
    const inside = await connect('/ch/root');
    assert.deepStrictEqual(await call(inside, 'create', '/x'), ['/x']);
    assert.ok((await call(zk, 'exists', '/ch/root/x'))[0]);
    inside.close();
    zk.close();
  },

  // Last: the server comes back with the session, its ephemeral and its watches.
  async restart() {
    const zk = await connect();
    await call(zk, 'create', '/restart', Buffer.from('0'));
    await call(zk, 'create', '/restart/eph', null, CreateMode.EPHEMERAL);
    const [tellData, data] = watcher();
    const [tellList, list] = watcher();
    await call(zk, 'getData', '/restart', tellData);
    await call(zk, 'getChildren', '/restart', tellList);
    const session = Buffer.from(zk.getSessionId());
    const lost = until(zk, State.DISCONNECTED);
    const found = until(zk, State.SYNC_CONNECTED);

    const input = readline.createInterface({ input: process.stdin });
    const answer = new Promise((resolve) => input.once('line', resolve));
    console.log('restart');
    assert.strictEqual(await within('the answer of the harness', answer), 'restarted');
    input.close();
    await lost;
    const prodding = prodOnApache(zk);
    await found;
    clearInterval(prodding);

    assert.deepStrictEqual(zk.getSessionId(), session);
    const [stat] = await call(zk, 'exists', '/restart/eph');
    assert.deepStrictEqual(stat.ephemeralOwner, session);
    const other = await connect();
    await call(other, 'setData', '/restart', Buffer.from('1'), 0);
    await data(Event.NODE_DATA_CHANGED, '/restart');
    await call(other, 'remove', '/restart/eph');
    await list(Event.NODE_CHILDREN_CHANGED, '/restart');
    zk.close();
    other.close();
  },
};

async function main() {
  let failed = false;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      failed = true;
      console.log(`FAIL ${name} ${String(error).replace(/\n/g, ' ')}`);
      console.error(error);
    }
  }
  process.exit(failed ? 1 : 0);
}

main();
