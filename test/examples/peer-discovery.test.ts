import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { AppHandler, KeyPair } from '../../src/index.js'
import { createDht, generateKeyPair, keyOf, sign } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import type { Network } from './network.js'
import { network } from './network.js'
import type { Program } from './processes.js'
import { end, expectHelp, expectUsage, start } from './processes.js'

let joining: Network

/** How a peer answers handshakes that is not what it announced. */
type Liar = (keys: KeyPair) => AppHandler

/** Starts a node, and waits until others can find it. */
async function startNode(args: string, through = joining): Promise<{ node: Program; id: string }> {
  const node = await start('peer-discovery.js', ['--every', '0.3', ...args.split(' '), ...through.arguments])
  const [, id] = await node.waitFor(/^node ([0-9a-f]{8}) offers /m)
  return { node, id: id as string }
}

const startNodes = (...all: readonly string[]) => Promise.all(all.map((args) => startNode(args)))

/** Whom a node has connected to, in the order in which it did. */
const connectedBy = ({ stdout }: Program) =>
  [...stdout.matchAll(/^connected (\w{8}) at/gm)].map(([, id]) => id as string)

describe('peer discovery', () => {
  // Each test has a network of its own: the peers of another one, killed with it, would be missed by its nodes for a while.
  beforeEach(async () => {
    joining = await network(2)
  })

  test('a node connects to those that have all it wants, and to no others', async () => {
    const [both, ...others] = await startNodes(
      '--offer archive --offer light --height 900',
      '--offer archive --height 900',
      '--offer light --height 900',
      '--offer archive --offer light --height 900 --chain test',
    )
    const { node } = await startNode('--want archive --want light --height 120')
    await node.waitFor(new RegExp(`^connected ${both?.id} at 127\\.0\\.0\\.1:\\d+, height 900$`, 'm'))
    // It has looked again by then, for it wants three.
    await new Promise((done) => setTimeout(done, 1_000))
    expect(connectedBy(node)).toEqual([both?.id])
    for (const { id } of others) expect(node.stdout).not.toContain(id)
    node.kill('SIGTERM')
    expect(await node.end()).toMatchObject({ status: 0, stderr: '' })
  })

  test('a node keeps as many peers as it wants, and replaces those that are killed', async () => {
    const all = await startNodes(...Array.from({ length: 4 }, () => '--offer archive --height 7'))
    const { node } = await startNode('--want archive --peers 2')
    await node.waitFor(/(?:^connected .*\n){2}/m)
    const [dead, alive] = connectedBy(node)
    await end(all.find(({ id }) => id === dead)?.node as Program)
    await node.waitFor(new RegExp(`^lost ${dead} at .*\\n(?:refused .*\\n)*connected `, 'm'))
    const third = connectedBy(node)[2]
    expect([dead, alive]).not.toContain(third)
    expect(connectedBy(node)).toHaveLength(3)
    expect(all.map(({ id }) => id)).toContain(third)
    expect(node.stdout.match(/^lost /gm)).toHaveLength(1)
  })

  test('a node that leaves with a goodbye is not found any more', async () => {
    const [gone, stays] = await startNodes('--offer archive --height 7', '--offer archive --height 7')
    gone?.node.kill('SIGINT')
    expect(await gone?.node.end()).toMatchObject({ status: 0, stderr: '' })
    const { node } = await startNode('--want archive')
    await node.waitFor(`connected ${stays?.id}`)
    await new Promise((done) => setTimeout(done, 600))
    expect(node.stdout).not.toContain(gone?.id)
  })

  test('a node that announces what is not so is refused, and so is one that has no more blocks', async () => {
    const good = { chain: 'main', version: 1, offers: ['archive'], height: 900 }
    const encode = (text: string) => new TextEncoder().encode(text)
    const answer = ({ secretKey }: KeyPair, challenge: Uint8Array, theirs: object) => {
      const status = encode(JSON.stringify(theirs))
      const proven = Uint8Array.of(...encode('peer-discovery handshake'), ...keyOf(challenge), ...status)
      return Uint8Array.of(...sign(proven, secretKey), ...status)
    }
    const saying =
      (theirs: object): Liar =>
      (keys) =>
      (challenge) =>
        answer(keys, challenge, theirs)
    await startNode('--offer archive --height 120')
    const refusals: readonly (readonly [Liar | undefined, RegExp])[] = [
      [undefined, /refused/],
      [() => () => new Uint8Array(0), /./],
      [(keys) => () => answer(keys, encode('an old challenge'), good), /has not the key/],
      [() => (challenge) => answer(generateKeyPair(), challenge, good), /has not the key/],
      [saying({ ...good, chain: 'test' }), /another chain or version/],
      [saying({ ...good, version: 2 }), /another chain or version/],
      [saying({ ...good, offers: [] }), /announced archive, and does not have it/],
      [saying({ ...good, height: 'much' }), /no blocks that we lack/],
    ]
    for (const [liar] of refusals) await announce(liar)
    await announce(saying(good))
    const { node } = await startNode('--want archive --height 120')
    await node.waitFor('connected')
    expect(connectedBy(node)).toHaveLength(1)
    await node.waitFor(new RegExp(`(?:^(?:connected|refused) .*\\n){${refusals.length + 2}}`, 'm'))
    const said = node.stdout.match(/^refused .*$/gm)?.map((line) => line.replace(/.*?: /, ''))
    expect(said).toHaveLength(refusals.length + 1)
    for (const [, reason] of refusals) expect(said).toContainEqual(expect.stringMatching(reason))
    expect(said?.filter((reason) => /no blocks/.test(reason))).toHaveLength(2)

    async function announce(liar: Liar | undefined): Promise<void> {
      const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: joining.addresses })
      onTestFinished(() => dht.close())
      await dht.start()
      const keys = generateKeyPair()
      if (liar !== undefined) dht.handle('handshake', liar(keys))
      await dht.announce(keyOf('peer-discovery/main/1/archive'), { keys })
    }
  })

  test('with something to offer or to want, it ends with status 1 when its network is cut', async () => {
    // Each in a network of its own: together they would still be one.
    const other = await network(2)
    const nodes = [await startNode('--want archive'), await startNode('--offer archive', other)]
    await Promise.all([joining.cut(), other.cut()])
    for (const { status, stderr } of await Promise.all(nodes.map(({ node }) => node.end()))) {
      expect(stderr).toMatch(/^peer-discovery: .*answered/)
      expect(status).toBe(1)
    }
  })
})

test.each([
  [[]],
  [['--want', 'archive']],
  [['--bootstrap', '127.0.0.1:7400']],
  [['--want', 'a b', '--bootstrap', '127.0.0.1:7400']],
  [['--want', 'archive', '--peers', '0', '--bootstrap', '127.0.0.1:7400']],
  [['--want', 'archive', '--height', '-1', '--bootstrap', '127.0.0.1:7400']],
  [['archive', '--want', 'archive', '--bootstrap', '127.0.0.1:7400']],
])('peer-discovery.js refuses %j', (args) => expectUsage('peer-discovery.js', args))

test('peer-discovery.js explains itself', () => expectHelp('peer-discovery.js'))
