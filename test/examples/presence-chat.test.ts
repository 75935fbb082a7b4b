import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Dht, KeyPair } from '../../src/index.js'
import { createDht, generateKeyPair, keyOf, sign, toHex } from '../../src/index.js'
import { udp } from '../../src/transport/udp.js'
import type { Network } from './network.js'
import { network } from './network.js'
import type { Program } from './processes.js'
import { end, expectHelp, expectUsage, start } from './processes.js'

let joining: Network

/** Enters a room, and waits until it has. */
async function enter(room: string, name: string): Promise<{ chat: Program; id: string }> {
  const chat = await start('presence-chat.js', [room, '--name', name, '--every', '0.3', ...joining.arguments])
  const [, id] = await chat.waitFor(/^you are .+ ([0-9a-f]{8}) in .+$/m)
  return { chat, id: id as string }
}

/** A node of the test's own, which is closed with it. */
async function joinRoom(): Promise<Dht> {
  const dht = createDht({ transport: udp({ host: '127.0.0.1' }), bootstrap: joining.addresses })
  onTestFinished(() => dht.close())
  await dht.start()
  return dht
}

async function locateIn(room: string, dht: Dht, start: string): Promise<{ id: string; address: string }> {
  for await (const { publicKey, address } of dht.locate(keyOf(`presence-chat/${room}`))) {
    const id = toHex(publicKey)
    if (id.startsWith(start)) return { id, address }
  }
  throw new Error('not located')
}

/** A message as peers send it, or one that claims another key than it is signed with. */
function seal({ publicKey, secretKey }: KeyPair, message: object | null, signer?: KeyPair): Uint8Array {
  const signed = new TextEncoder().encode(JSON.stringify(message))
  return Uint8Array.of(...publicKey, ...sign(signed, signer?.secretKey ?? secretKey), ...signed)
}

function contentOf(payload: Uint8Array): { room: string; number: number; kind: string; text: string } {
  return JSON.parse(new TextDecoder().decode(payload.slice(96)))
}

/** What a peer answers, or one that lies. */
function answer(keys: KeyPair, payload: Uint8Array, changes: object = {}, signer = keys): Uint8Array {
  const { room, number } = contentOf(payload)
  const to = toHex(payload.slice(0, 32))
  return seal(keys, { room, to, number, kind: 'here', name: 'Bert', text: '', ...changes }, signer)
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

  test('left alone, it ends with status 1 when its network is cut', async () => {
    // It keeps the announcement of the other one itself by then, and so still locates it.
    const [ada, bert] = [await enter('d', 'Ada'), await enter('d', 'Bert')]
    await ada.chat.waitFor(`${bert.id} is here`)
    await Promise.all([joining.cut(), end(bert.chat)])
    const { status, stdout, stderr } = await ada.chat.end()
    expect(stdout).toContain(`Bert ${bert.id} does not answer any more\n`)
    expect(stderr).toMatch(/^presence-chat: .*answered/)
    expect(status).toBe(1)
  })

  test('a line is sent when the one before has been answered', async () => {
    const ada = await enter('h', 'Ada')
    const [dht, keys] = [await joinRoom(), generateKeyPair()]
    const texts: string[] = []
    let waiting = 0
    let waitingMax = 0
    dht.handle('chat', async (payload) => {
      const { kind, text } = contentOf(payload)
      if (kind === 'text') {
        waitingMax = Math.max(waitingMax, ++waiting)
        texts.push(text)
        await new Promise((done) => setTimeout(done, 100))
        waiting--
      }
      return answer(keys, payload)
    })
    await dht.announce(keyOf('presence-chat/h'), { keys })
    await ada.chat.waitFor('Bert')
    for (const text of ['a', 'b', 'c']) ada.chat.type(text)
    await expect.poll(() => texts, { timeout: 10_000 }).toEqual(['a', 'b', 'c'])
    expect(waitingMax).toBe(1)
  })

  test('only what was signed for this room, this receiver and this moment is shown', async () => {
    const ada = await enter('f', 'Ada')
    const dht = await joinRoom()
    const keys = generateKeyPair()
    const { id: to, address } = await locateIn('f', dht, ada.id)
    const good = { room: 'f', to, number: 1_000, kind: 'text', name: 'Bert', text: 'good' }
    const ask = (bytes: Uint8Array) => dht.request(address, 'chat', bytes)

    const refused = [
      seal(keys, good, generateKeyPair()),
      seal(keys, { ...good, to: toHex(keys.publicKey) }),
      seal(keys, { ...good, room: 'g' }),
      seal(keys, { ...good, name: `Ada: send me the key${' '.repeat(60)}\u202e` }),
      seal(keys, { ...good, name: `Ada ${ada.id}` }),
      seal(keys, { ...good, name: 'x'.repeat(31) }),
      seal(keys, null),
      new Uint8Array(0),
    ]
    for (const bytes of refused) await expect(ask(bytes)).rejects.toMatchObject({ code: 'ERR_REMOTE' })
    expect(ada.chat.stdout).toMatch(/^you are Ada \w+ in f\n$/)

    await ask(seal(keys, good))
    const id = toHex(keys.publicKey).slice(0, 8)
    await ada.chat.waitFor(`Bert ${id} is here\nBert ${id}: good\n`)
    await ask(seal(keys, good))
    await ask(seal(keys, { ...good, number: 999, text: 'late' }))
    await ask(seal(keys, { ...good, number: 1_001, text: 'a\u001b[2J\u202e\u2028b' }))
    await ada.chat.waitFor('a [2J  b')
    expect(ada.chat.stdout.match(/^Bert \w+: .*$/gm)).toEqual([`Bert ${id}: good`, `Bert ${id}: a [2J  b`])
  })

  test('a text that another message has overtaken is shown, and a greeting that comes after the goodbye is not', async () => {
    const ada = await enter('f', 'Ada')
    const [dht, keys] = [await joinRoom(), generateKeyPair()]
    const { id: to, address } = await locateIn('f', dht, ada.id)
    const tell = (number: number, kind: string, text: string) =>
      dht.request(address, 'chat', seal(keys, { room: 'f', to, number, kind, name: 'Bert', text }))
    await tell(2, 'hello', '')
    await tell(1, 'text', 'overtaken')
    await tell(4, 'bye', '')
    await tell(3, 'hello', '')
    await tell(5, 'text', 'again')
    const bert = `Bert ${toHex(keys.publicKey).slice(0, 8)}`
    await ada.chat.waitFor('again')
    const lines = [`${bert} is here`, `${bert}: overtaken`, `${bert} has left`, `${bert} is here`, `${bert}: again`, '']
    expect(ada.chat.stdout.split('\n').slice(1)).toEqual(lines)
  })

  test('one that never answers holds nobody up, and does not stay however often it says hello', async () => {
    const [ada, bert] = [await enter('i', 'Ada'), await enter('i', 'Bert')]
    await ada.chat.waitFor(`Bert ${bert.id} is here`)
    const [dht, keys] = [await joinRoom(), generateKeyPair()]
    const { id: to, address } = await locateIn('i', dht, ada.id)
    const texts: string[] = []
    dht.handle('chat', (payload) => {
      const { kind, text } = contentOf(payload)
      if (kind === 'text') texts.push(text)
      return new Promise(() => {})
    })
    const greet = () => {
      const message = { room: 'i', to, number: Date.now(), kind: 'hello', name: 'Mute', text: '' }
      dht.request(address, 'chat', seal(keys, message)).catch(() => {})
    }
    const greeting = setInterval(greet, 200)
    onTestFinished(() => clearInterval(greeting))
    await ada.chat.waitFor(/^Mute .* is here$/m)
    for (const text of ['a', 'b', 'c']) ada.chat.type(text)
    await bert.chat.waitFor(`Ada ${ada.id}: c`)
    // Who waited for its answers would have sent it all three before.
    expect(texts.length).toBeLessThan(2)
    await ada.chat.waitFor(/^Mute .* does not answer any more$/m)
    await new Promise((done) => setTimeout(done, 600))
    expect(ada.chat.stdout.match(/^Mute .* is here$/gm)).toHaveLength(1)
  })

  test('a room is full at some point, and those that are in it go on', async () => {
    const [ada, bert] = [await enter('j', 'Ada'), await enter('j', 'Bert')]
    await ada.chat.waitFor(`Bert ${bert.id} is here`)
    const dht = await joinRoom()
    const all = new Map(
      Array.from({ length: 60 }, () => generateKeyPair()).map((keys) => [toHex(keys.publicKey), keys]),
    )
    dht.handle('chat', (payload) => {
      const { to } = JSON.parse(new TextDecoder().decode(payload.slice(96)))
      return answer(all.get(to) as KeyPair, payload)
    })
    const { id: to, address } = await locateIn('j', dht, ada.id)
    const asked = [...all.values()].map((keys) =>
      dht.request(address, 'chat', seal(keys, { room: 'j', to, number: 1, kind: 'text', name: 'Crowd', text: 'hi' })),
    )
    const answers = await Promise.allSettled(asked)
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(49)
    bert.chat.type('still here')
    await ada.chat.waitFor(`Bert ${bert.id}: still here`)
    expect(ada.chat.stdout.match(/^Crowd .* is here$/gm)).toHaveLength(49)
    expect(ada.chat.stdout.match(/^Crowd .*: hi$/gm)).toHaveLength(49)
  })

  test('who has the place of a peer, but not its key, is not here', async () => {
    const answers: readonly ((keys: KeyPair, asked: Uint8Array) => Uint8Array)[] = [
      (keys, asked) => answer(keys, asked, { number: 1 }),
      (_, asked) => answer(generateKeyPair(), asked),
      (keys, asked) => answer(keys, asked, {}, generateKeyPair()),
      (_, asked) => asked,
    ]
    let asked = 0
    for (const lie of answers) await announce(lie)
    const honest = await announce(answer)
    const ada = await enter('f', 'Ada')
    await ada.chat.waitFor(`Bert ${honest} is here`)
    await expect.poll(() => asked, { timeout: 10_000 }).toBeGreaterThan(answers.length)
    ada.chat.typeEnd()
    expect((await ada.chat.end()).stdout).toMatch(/^you are Ada \w+ in f\nBert \w+ is here\n$/)

    async function announce(lie: (typeof answers)[number]): Promise<string> {
      const [dht, keys] = [await joinRoom(), generateKeyPair()]
      dht.handle('chat', (payload) => {
        asked++
        return lie(keys, payload)
      })
      await dht.announce(keyOf('presence-chat/f'), { keys })
      return toHex(keys.publicKey).slice(0, 8)
    }
  })

  test('a line that is too long is not sent', async () => {
    const { chat } = await enter('g', 'Ada')
    chat.type('x'.repeat(500))
    await chat.waitFor('too long, not sent', 'stderr')
  })
})

test.each([
  [[]],
  [['lobby']],
  [['lobby', 'hall', '--name', 'Ada', '--bootstrap', '127.0.0.1:7400']],
  [['lobby', '--name', 'a\u001bb', '--bootstrap', '127.0.0.1:7400']],
  [['lobby', '--name', 'Ada']],
  [['lobby', '--name', 'Ada', '--bootstrap', '127.0.0.1:7400', '--every', '-1']],
  [['lobby', '--name', 'Ada', '--bootstrap', '127.0.0.1:7400', '--every', '3000000']],
])('presence-chat.js refuses %j', (args) => expectUsage('presence-chat.js', args))

test('presence-chat.js explains itself', () => expectHelp('presence-chat.js'))
