import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Tabled } from '../../../src/rpc/call-table.js'
import { CallTable } from '../../../src/rpc/call-table.js'

interface Call extends Tabled<Call> {
  readonly tid: Uint8Array
}

function callWith(tid: Uint8Array): Call {
  return { tid, next: undefined }
}

test('it finds what a Map would, also where ids share their chain or have any length', () => {
  const tid = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 20 }),
    fc.nat(60).map((last) => Uint8Array.of(1, 2, 3, 0, 0, 0, 0, last)),
    fc.nat(255).map((only) => Uint8Array.of(only)),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), tid), { maxLength: 200 }), (steps) => {
      const table = new CallTable<Call>()
      const model = new Map<string, Call>()
      for (const [adds, id] of steps) {
        const known = model.get(String(id))
        expect(table.get(id)).toBe(known)
        if (adds && !known) {
          const call = callWith(id)
          table.add(call)
          model.set(String(id), call)
        } else if (!adds && known) {
          expect(table.delete(known)).toBe(true)
          expect(table.delete(known)).toBe(false)
          model.delete(String(id))
        }
        expect(table.size).toBe(model.size)
      }
      expect(new Set(table.all())).toEqual(new Set(model.values()))
      for (const call of model.values()) expect(table.get(new Uint8Array(call.tid))).toBe(call)
    }),
  )
})

test('two calls of one id are two, and each leaves by itself', () => {
  const table = new CallTable<Call>()
  const [first, second] = [callWith(Uint8Array.of(1, 2, 3, 4)), callWith(Uint8Array.of(1, 2, 3, 4))]
  table.add(first)
  table.add(second)
  expect(table.delete(second)).toBe(true)
  expect([table.get(first.tid), table.size]).toEqual([first, 1])
})
