import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Journal } from '../../../src/cli/journal.js'
import type { LevelOperation } from '../../../src/storage/level.js'
import { del, entriesOf, opened, put, SYNC } from './entries.js'
import { MemoryDisk, REMAINS, systemError } from './memory-disk.js'

type Model = Map<string, string>
interface Real {
  journal: Journal
  disk: MemoryDisk
  /** How often that was on the disks before this one. */
  renamed: number
}
type Command = fc.AsyncCommand<Model, Real>

const change: fc.Arbitrary<LevelOperation> = fc.oneof(
  fc
    .tuple(fc.constantFrom('', 'a', 'b', '\xfe', 'ab'), fc.nat(255), fc.constantFrom(0, 1, 300_000))
    .map(([key, fill, length]) => put(key, new Uint8Array(length).fill(fill))),
  fc.constantFrom('', 'a', 'b', '\xfe', 'ab').map(del),
)

function applied(model: Model, operations: readonly LevelOperation[]): Model {
  for (const one of operations) {
    const key = Buffer.from(one.key).toString('latin1')
    if (one.type === 'put') model.set(key, Buffer.from(one.value).toString('latin1'))
    else model.delete(key)
  }
  return model
}

const renamedIn = (disk: MemoryDisk) => disk.steps.filter((step) => step === 'rename').length

/** In the order of their bytes. */
const sorted = (model: Model) => [...model].sort(([a], [b]) => (a < b ? -1 : 1))

const named = (name: string, run: Command['run']): Command => ({ check: () => true, run, toString: () => name })

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(change, { maxLength: 5 }).map((operations) =>
      named(`batch of ${operations.length}`, async (model, { journal }) => {
        await journal.batch(operations, SYNC)
        applied(model, operations)
        expect(await entriesOf(journal)).toEqual(sorted(model))
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 6 }).map((batches) =>
      named(`${batches.length} batches at once`, async (model, { journal }) => {
        await Promise.all(batches.map((operations) => journal.batch(operations, SYNC)))
        for (const operations of batches) applied(model, operations)
        expect(await entriesOf(journal)).toEqual(sorted(model))
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      named('much that does not last', async (_, { journal }) => {
        for (let i = 0; i < 5; i++) await journal.batch([put('much', new Uint8Array(2 ** 20)), del('much')], SYNC)
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      named('close and open', async (model, { journal }) => {
        await journal.close()
        await journal.open()
        expect(journal.report).toEqual({ entries: model.size, damagedBytes: 0, tornBytes: 0 })
        expect(await entriesOf(journal)).toEqual(sorted(model))
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...REMAINS).map((remains) =>
      named(`the machine ends, left: ${JSON.stringify(remains)}`, async (model, real) => {
        real.renamed += renamedIn(real.disk)
        real.disk = real.disk.next(remains)
        real.journal = await opened(real.disk)
        expect(await entriesOf(real.journal)).toEqual(sorted(model))
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(change, fc.nat(3), fc.boolean()).map(([one, step, isPermanent]) =>
      named(`fails at step ${step}`, async (model, { journal, disk }) => {
        const from = disk.steps.length + step
        disk.before = (_, number) => {
          if (number === from || (isPermanent && number > from)) throw systemError('EIO', 'i/o error')
        }
        const isWritten = await journal.batch([one], SYNC).then(
          () => true,
          () => false,
        )
        if (isWritten) applied(model, [one])
        disk.before = undefined
        await journal.close()
        await journal.open()
        expect(await entriesOf(journal)).toEqual(sorted(model))
      }),
    ),
  },
)

test('a journal holds what a map holds, whatever fails or ends meanwhile', async () => {
  let rewritings = 0
  await fc.assert(
    fc.asyncProperty(fc.commands([command], { maxCommands: 60 }), async (commands) => {
      const disk = new MemoryDisk()
      const real = { disk, journal: await opened(disk), renamed: 0 }
      await fc.asyncModelRun(() => ({ model: new Map<string, string>(), real }), commands)
      // The first one made it.
      rewritings += real.renamed + renamedIn(real.disk) - 1
      await real.journal.close()
    }),
    { numRuns: 60 },
  )
  // Some files grew long enough for it.
  expect(rewritings).toBeGreaterThan(0)
})
