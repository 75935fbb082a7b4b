import { describe, expect, test } from 'vitest'
import type { LookupStep } from '../../../src/index.js'
import { keyOf, toHex } from '../../../src/index.js'
import { contactOf, grow, idsOf, kill, simulate } from './network.js'

const TARGET = keyOf('a point of the key space')

describe('the steps of findNode', () => {
  test('name each node that was asked once, by whom it was named, and all of the closest', async () => {
    await simulate('trace', async (simulator) => {
      const members = await grow(simulator, 60, () => ({ k: 4 }))
      const { dht } = members[9]!
      const known = new Set(idsOf(dht.contacts()))
      const steps: LookupStep[] = []
      const { closest } = await dht.findNode(TARGET, { onStep: (step) => steps.push(step) })
      const asked = idsOf(steps.map(({ contact }) => contact))
      expect(new Set(asked).size).toBe(asked.length)
      const answered = steps.filter(({ outcome }) => outcome === 'answered')
      expect(idsOf(answered.map(({ contact }) => contact))).toEqual(expect.arrayContaining(idsOf(closest)))
      for (const { elapsedMs } of answered) expect(elapsedMs).toBeGreaterThan(0)

      const hopOf = new Map<string, number>()
      for (const { contact, hop } of steps) hopOf.set(toHex(contact.id), hop)
      expect(steps.some(({ hop }) => hop === 1)).toBe(true)
      expect(steps.some(({ hop }) => hop > 1)).toBe(true)
      for (const { contact, hop } of steps) {
        const id = toHex(contact.id)
        if (hop === 1) {
          expect(known.has(id)).toBe(true)
          continue
        }
        const namers = steps.filter(({ brought }) => idsOf(brought).includes(id))
        expect(Math.min(...namers.map(({ contact }) => hopOf.get(toHex(contact.id))!))).toBe(hop - 1)
      }
    })
  })

  test('tell of the dead, and of those that were no longer waited for', async () => {
    await simulate('trace of the dead', async (simulator) => {
      const members = await grow(simulator, 30, () => ({ k: 4 }))
      const { dht } = members[9]!
      const { closest } = await dht.findNode(TARGET)
      const victims = members.filter(({ dht }) => idsOf(closest.slice(0, 2)).includes(toHex(dht.id)))
      kill(victims)
      const steps: LookupStep[] = []
      await dht.findNode(TARGET, { onStep: (step) => steps.push(step) })
      for (const victim of victims) {
        const step = steps.find(({ contact }) => toHex(contact.id) === toHex(victim.dht.id))
        expect(step?.contact).toEqual(contactOf(victim))
        expect(step?.outcome).toMatch(/failed|abandoned/)
        expect(step?.brought).toEqual([])
      }
    })
  })

  test('belong to the listener: changing them changes nothing', async () => {
    await simulate('trace copies', async (simulator) => {
      const members = await grow(simulator, 12)
      const { dht } = members[3]!
      const before = await dht.findNode(TARGET)
      const after = await dht.findNode(TARGET, {
        onStep: ({ contact, brought }) => {
          for (const { id } of [contact, ...brought]) id.fill(0)
        },
      })
      expect(idsOf(after.closest)).toEqual(idsOf(before.closest))
    })
  })

  test('are told once, also when the listener ends the lookup', async () => {
    await simulate('trace that ends', async (simulator) => {
      const members = await grow(simulator, 30)
      for (const end of ['abort', 'close'] as const) {
        const { dht } = members[end === 'abort' ? 3 : 4]!
        const abort = new AbortController()
        const told: string[] = []
        const finding = dht.findNode(TARGET, {
          signal: abort.signal,
          onStep: ({ contact }) => {
            told.push(toHex(contact.id))
            if (end === 'abort') abort.abort(new Error('enough'))
            else void dht.close()
          },
        })
        await expect(finding).rejects.toThrow()
        expect(told.length).toBeGreaterThan(1)
        expect(new Set(told).size).toBe(told.length)
      }
    })
  })
})
