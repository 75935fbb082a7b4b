import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createDht, generateKeyPair, keyOf, toHex } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import type { Network } from './network.js'
import { argumentsFor, network, silentAddress } from './network.js'
import type { Program } from './processes.js'
import { end, expectHelp, expectUsage, run, start } from './processes.js'

let joining: Network

/** Enters a room, and waits until it has. */
async function enter(room: string, name: string): Promise<{ chat: Program; id: string }> {
  const chat = await start('presence-chat.js', [room, '--name', name, '--every', '0.3', ...joining.arguments])
  const [, id] = await chat.waitFor(/^you are .+ ([0-9a-f]{8}) in .+$/m)
  return { chat, id: id as string }
}

describe('in a room', () => {
  // Each test has a network of its own: the peers of another one, killed with it, would be missed by its nodes for a while.
  beforeEach(async () => {
    joining = await network(2)
  })

  test('a line reaches everybody in the room and nobody else, with the name and the key of its sender', async () => {
    const [ada, bert, carol] = [await enter('a', 'Ada'), await enter('a', 'Bert'), await enter('a', 'Carol')]
    const other = await enter('b', 'Dora')
    for (const { chat } of [bert, carol]) await chat.waitFor(`Ada ${ada.id} is here`)
    for (const name of ['Bert', 'Carol']) await ada.chat.waitFor(new RegExp(`^${name} .* is here$`, 'm'))
    const lines = Array.from({ length: 5 }, (_, i) => `line ${i}: “what” <is> \\this?`)
    for (const line of lines) ada.chat.type(line)
    for (const { chat } of [bert, carol]) {
      await chat.waitFor(`Ada ${ada.id}: ${lines[4]}`)
      // Each once, in their order.
      expect(chat.stdout.match(/^Ada \w+: .*$/gm)).toEqual(lines.map((line) => `Ada ${ada.id}: ${line}`))
    }
    bert.chat.type('hello Ada')
    await ada.chat.waitFor(`Bert ${bert.id}: hello Ada`)
    expect(other.chat.stdout).toMatch(/^you are Dora \w+ in b\n$/)
  })

  test.each(['end of stdin', 'SIGINT', 'SIGTERM'] as const)('who leaves by %s says goodbye', async (way) => {
    const room = `leaving by ${way}`
    const [ada, bert] = [await enter(room, 'Ada'), await enter(room, 'Bert')]
    await ada.chat.waitFor(`Bert ${bert.id} is here`)
    await bert.chat.waitFor(`Ada ${ada.id} is here`)
    bert.chat.type('last words')
    if (way === 'end of stdin') bert.chat.typeEnd()
    else {
      await ada.chat.waitFor('last words')
      bert.chat.kill(way)
    }
    await ada.chat.waitFor(`Bert ${bert.id}: last words\nBert ${bert.id} has left\n`)
    expect(await bert.chat.end()).toMatchObject({ status: 0, stderr: '' })
    // Forgotten by the network too: a newcomer is not told of it.
    const carol = await enter(room, 'Carol')
    await carol.chat.waitFor(`Ada ${ada.id} is here`)
    expect(carol.chat.stdout).not.toContain('Bert')
  })

  test('a peer that is killed is noticed, and the others go on, even without the nodes that they joined through', async () => {
    const [ada, bert, carol] = [await enter('c', 'Ada'), await enter('c', 'Bert'), await enter('c', 'Carol')]
    for (const { id } of [bert, carol]) await ada.chat.waitFor(`${id} is here`)
    for (const { id } of [ada, carol]) await bert.chat.waitFor(`${id} is here`)
    await joining.cut()
    await end(carol.chat)
    await Promise.all([ada, bert].map(({ chat }) => chat.waitFor(`Carol ${carol.id} does not answer any more`)))
    ada.chat.type('just the two of us')
    await bert.chat.waitFor(`Ada ${ada.id}: just the two of us`)
  })

  test('alone in a room, it ends with status 1 when its network is cut', async () => {
    const { chat } = await enter('d', 'Ada')
    await joining.cut()
    const { status, stderr } = await chat.end()
    expect(stderr).toMatch(/^presence-chat: .*answered/)
    expect(status).toBe(1)
  })

  test('who has the place of a peer, but not its key, is not shown', async () => {
    const ada = await enter('f', 'Ada')
    const liar = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: joining.addresses })
    onTestFinished(() => liar.close())
    await liar.start()
    let asked = 0
    // It sends back what it got, as if it had been its own; then it sends what it got to Ada.
    liar.handle('chat', (payload) => {
      asked++
      return payload
    })
    await liar.announce(keyOf('presence-chat/f'), { keys: generateKeyPair() })
    await expect.poll(() => asked, { timeout: 10_000 }).toBeGreaterThan(0)
    const address = `127.0.0.1:${await portOf(liar, ada.id)}`
    const forged = new TextEncoder().encode(
      `${'k'.repeat(96)}{"room":"f","to":"","number":1,"kind":"text","name":"Bert"}`,
    )
    for (const bytes of [forged, new Uint8Array(0), new TextEncoder().encode(`${'k'.repeat(96)}null`)]) {
      await expect(liar.request(address, 'chat', bytes)).rejects.toMatchObject({ code: 'ERR_REMOTE' })
    }
    expect(ada.chat.stdout).toMatch(/^you are Ada \w+ in f\n$/)

    async function portOf(dht: typeof liar, id: string): Promise<number> {
      for await (const { publicKey, port } of dht.locate(keyOf('presence-chat/f'))) {
        if (toHex(publicKey).startsWith(id)) return port as number
      }
      throw new Error('not located')
    }
  })

  test('a line that is too long is not sent', async () => {
    const { chat } = await enter('g', 'Ada')
    chat.type('x'.repeat(500))
    await chat.waitFor('too long, not sent', 'stderr')
  })
})

test('with nobody to join through it ends with status 1', async () => {
  const args = ['e', '--name', 'Ada', ...argumentsFor(await silentAddress())]
  const { status, stdout, stderr } = await run('presence-chat.js', args)
  expect(stderr).toMatch(/^presence-chat: .*bootstrap/)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
})

test.each([
  [[]],
  [['lobby']],
  [['lobby', 'hall', '--name', 'Ada', '--bootstrap', '127.0.0.1:7400']],
  [['lobby', '--name', 'a\u001bb', '--bootstrap', '127.0.0.1:7400']],
  [['lobby', '--name', 'Ada']],
  [['lobby', '--name', 'Ada', '--bootstrap', '127.0.0.1:7400', '--every', '-1']],
])('presence-chat.js refuses %j', (args) => expectUsage('presence-chat.js', args))

test('presence-chat.js explains itself', () => expectHelp('presence-chat.js'))
