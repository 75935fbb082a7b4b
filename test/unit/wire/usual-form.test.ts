import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message } from '../../../src/wire/index.js'
import { createCodec, networkTag } from '../../../src/wire/index.js'
import { countUp, NETWORK, OBSERVED, pack, SENDER, TID } from './raw.js'

const codec = createCodec(NETWORK)
const tag = networkTag(NETWORK)

const someBytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength })
const element = fc.oneof(fc.nat(70_000), someBytes(0, 300), fc.string(), fc.constant(null), fc.array(fc.nat(300)))
const header = {
  tid: someBytes(1, 20),
  flags: fc.oneof(fc.nat(7), fc.nat(300), fc.nat(0xffff_ffff)),
  sender: someBytes(32, 32),
}
const body = fc.array(element, { maxLength: 20 })
const method = fc.oneof(fc.nat(4), fc.nat(0xffff), fc.constantFrom('chat', 'm'))
const request = fc.record({ type: fc.constant('request' as const), ...header, method, params: body })
const response = fc.record({
  ...{ type: fc.constant('response' as const), ...header },
  ...{ observed: someBytes(1, 64), result: body },
})

/** What the encoder makes of a message as a whole. */
function whole(message: Message, padding?: Uint8Array): Uint8Array {
  const { tid, flags, sender } = message
  const ext = padding ? [new Map([[0, padding]])] : []
  if (message.type === 'request') return pack([1, 0, tid, tag, flags, sender, message.method, message.params, ...ext])
  if (message.type === 'response')
    return pack([1, 1, tid, tag, flags, sender, message.observed, message.result, ...ext])
  return pack([1, 2, tid, tag, flags, sender, message.observed, [message.code, message.text], ...ext])
}

/** The same elements, but with a header of three bytes before them, which the decoder alone reads. */
function unusual(datagram: Uint8Array): Uint8Array {
  return Uint8Array.from([0xdc, 0, (datagram[0] as number) & 0x0f, ...datagram.subarray(1)])
}

describe('the usual form', () => {
  test('is written as the encoder would write it', () => {
    fc.assert(
      fc.property(fc.oneof(request, response), (message) => {
        expect(codec.encode(message)).toEqual(whole(message))
      }),
    )
  })

  test('is padded as the encoder would pad it, with nothing but zeros', () => {
    const short = { ...{ type: 'request' as const, tid: TID, flags: 6, sender: SENDER }, params: [countUp(32), 0] }
    for (const method of [1, 70_000, 'chat']) {
      const message = { ...short, method }
      const plainBytes = whole(message).length
      for (let padTo = plainBytes; padTo < plainBytes + 600; padTo++) {
        const missing = padTo - plainBytes
        const inside = missing <= 259 ? Math.max(0, missing - 4) : Math.max(256, missing - 5)
        const expected = missing === 0 ? whole(message) : whole(message, new Uint8Array(inside))
        expect(codec.encode(message, padTo)).toEqual(expected)
      }
    }
  })

  test('is read as the decoder reads it, whatever bytes are changed, cut off or appended', () => {
    const change = fc.record({ at: fc.nat(120), byte: fc.nat(255) })
    fc.assert(
      fc.property(
        ...[fc.oneof(request, response), fc.constantFrom(0, 100, 400), fc.array(change, { maxLength: 2 })],
        ...[fc.option(fc.integer({ min: 1, max: 120 }), { freq: 3 }), fc.uint8Array({ maxLength: 2 })],
        (message, padTo, changes, cutAt, appended) => {
          const encoded = codec.encode(message, padTo)
          const datagram = Uint8Array.from([...encoded.subarray(0, cutAt ?? encoded.length), ...appended])
          for (const { at, byte } of changes) if (at > 0 && at < datagram.length) datagram[at] = byte
          fc.pre(datagram.length <= 1100)
          expect(codec.decode(datagram)).toEqual(codec.decode(unusual(datagram)))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('with each byte changed to each value is read as the decoder reads it', () => {
    const messages: Message[] = [
      { ...{ type: 'request', tid: TID, flags: 6, sender: SENDER }, method: 1, params: [countUp(3), 7] },
      { ...{ type: 'response', tid: TID, flags: 6, sender: SENDER }, observed: OBSERVED, result: [] },
    ]
    for (const message of messages) {
      for (const padTo of [0, 90]) {
        const datagram = new Uint8Array(codec.encode(message, padTo))
        for (let at = 1; at < datagram.length; at++) {
          const before = datagram[at] as number
          for (let byte = 0; byte < 256; byte++) {
            datagram[at] = byte
            const [usual, other] = [codec.decode(datagram), codec.decode(unusual(datagram))]
            if (JSON.stringify(usual) !== JSON.stringify(other)) expect(usual).toEqual(other)
          }
          datagram[at] = before
        }
      }
    }
  })

  test('messages do not overwrite each other', () => {
    const make = (i: number): Message => ({
      ...{ type: 'request', tid: countUp(8, i & 0x7f), flags: 6, sender: SENDER },
      ...{ method: 1, params: [countUp(32, i & 0x7f), i] },
    })
    const all = Array.from({ length: 300 }, (_, i) => codec.encode(make(i), i % 2 === 0 ? 400 : 0))
    for (const [i, datagram] of all.entries()) expect(codec.decode(datagram)).toEqual(codec.decode(whole(make(i))))
  })
})
