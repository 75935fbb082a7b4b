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

const GOOD = { chain: 'main', version: 1, offers: ['archive'], height: 900 }
const encode = (text: string) => new TextEncoder().encode(text)

/** What a peer answers to a handshake, or one that lies. */
function answer({ secretKey }: KeyPair, challenge: Uint8Array, status: string): Uint8Array {
  const proven = Uint8Array.of(...encode('peer-discovery handshake'), ...keyOf(challenge), ...encode(status))
  return Uint8Array.of(...sign(proven, secretKey), ...encode(status))
}

const saying =
  (theirs: object): Liar =>
  (keys) =>
  (challenge) =>
    answer(keys, challenge, JSON.stringify(theirs))

/** Announces as many keys at one address, where handshakes are answered so, or not at all. */
async function announce(liar: Liar | undefined, count = 1): Promise<void> {
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: joining.addresses, client: true })
  onTestFinished(() => dht.close())
  await dht.start()
  const all = Array.from({ length: count }, () => generateKeyPair())
  if (liar !== undefined) dht.handle('handshake', liar(all[0] as KeyPair))
  await Promise.all(all.map((keys) => dht.announce(keyOf('peer-discovery/main/1/archive'), { keys })))
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
    await startNode('--offer archive --height 120')
    const refusals: readonly (readonly [Liar | undefined, RegExp])[] = [
      [undefined, /refused/],
      [() => () => new Uint8Array(0), /./],
      [(keys) => () => answer(keys, encode('an old challenge'), JSON.stringify(GOOD)), /has not the key/],
      [() => (challenge) => answer(generateKeyPair(), challenge, JSON.stringify(GOOD)), /has not the key/],
      [saying({ ...GOOD, chain: 'test' }), /another chain or version/],
      [saying({ ...GOOD, version: 2 }), /another chain or version/],
      [saying({ ...GOOD, offers: [] }), /announced archive, and does not have it/],
      [saying({ ...GOOD, height: 'much' }), /no blocks that we lack/],
      [saying({ ...GOOD, height: ['900\n'] }), /no blocks that we lack/],
      [(keys) => (challenge) => answer(keys, challenge, '\u001b]0;x\u0007\u202e\u2028'), /JSON/],
    ]
    for (const [liar] of refusals) await announce(liar)
    await announce(saying(GOOD))
    const { node } = await startNode('--want archive --height 120')
    await node.waitFor('connected')
    expect(connectedBy(node)).toHaveLength(1)
    await node.waitFor(new RegExp(`(?:^(?:connected|refused) .*\\n){${refusals.length + 2}}`, 'm'))
    const said = node.stdout.match(/^refused .*$/gm)?.map((line) => line.replace(/.*?: /, ''))
    expect(said).toHaveLength(refusals.length + 1)
    for (const [, reason] of refusals) expect(said).toContainEqual(expect.stringMatching(reason))
    expect(said?.filter((reason) => /no blocks/.test(reason))).toHaveLength(3)
    expect(node.stdout.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  })

  test('many keys of one mute node neither hide a peer nor that it was killed', async () => {
    await announce(() => () => new Promise(() => {}), 100)
    const [honest] = await startNodes('--offer archive --height 7')
    const { node } = await startNode('--want archive --peers 2')
    await node.waitFor(`connected ${honest?.id}`)
    await end(honest?.node as Program)
    await node.waitFor(`lost ${honest?.id}`)
    // Tried together, before the first was seen to be mute.
    expect(node.stdout.match(/^refused /gm)?.length).toBeLessThanOrEqual(8)
  })

  test('peers are looked after while a mute one is tried', async () => {
    let checks = 0
    await announce((keys) => (challenge) => {
      checks++
      return answer(keys, challenge, JSON.stringify(GOOD))
    })
    const { node } = await startNode('--want archive --peers 2')
    await node.waitFor('connected')
    const tried = new Promise<number>((asked) => {
      announce(() => () => {
        asked(checks)
        return new Promise(() => {})
      })
    })
    const before = await tried
    await node.waitFor('refused')
    // Every 0.3 seconds, for the two that it takes; one more or none if they had to wait.
    expect(checks - before).toBeGreaterThan(2)
  })

  test('not all nodes ask the same peers', async () => {
    const asked = new Set<KeyPair>()
    const tell: Liar = (keys) => (challenge) => {
      asked.add(keys)
      return answer(keys, challenge, JSON.stringify(GOOD))
    }
    for (let i = 0; i < 12; i++) await announce(tell)
    const nodes = await startNodes(...Array.from({ length: 3 }, () => '--want archive --peers 1'))
    await Promise.all(nodes.map(({ node }) => node.waitFor('connected')))
    // Each asks eight of the twelve.
    expect(asked.size).toBeGreaterThan(8)
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
  [['--want', 'archive', '--every', '3000000', '--bootstrap', '127.0.0.1:7400']],
  [['archive', '--want', 'archive', '--bootstrap', '127.0.0.1:7400']],
])('peer-discovery.js refuses %j', (args) => expectUsage('peer-discovery.js', args))

test('peer-discovery.js explains itself', () => expectHelp('peer-discovery.js'))
