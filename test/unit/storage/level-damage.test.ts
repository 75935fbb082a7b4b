import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLevelStore } from '../../../src/storage/level.js'
import { ROOT } from '../examples/programs.js'

interface Killed {
  readonly acknowledged: number
  readonly problems: string[]
}
interface Outcome {
  readonly outcome: string
  readonly problems: string[]
}
interface Made {
  close(): void
}

// Plain JavaScript of the scripts, without types of its own.
const script = (name: string) => import(new URL(`../../../scripts/store/${name}.js`, import.meta.url).href)
const { killOnce } = (await script('kill')) as {
  killOnce: (entry: string, seed: number, writes: number) => Promise<Killed>
}
const { damageOnce, makeStore } = (await script('flips')) as {
  makeStore: (open: typeof openLevelStore, seed: number, records: number) => Promise<Made>
  damageOnce: (open: typeof openLevelStore, made: Made, seed: number, i: number, damage: string) => Promise<Outcome>
}

const folder = mkdtempSync(join(tmpdir(), 'xorbit-damage-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('kill -9 in the middle of writes', () => {
  const file = join(folder, 'level.mjs')
  beforeAll(() =>
    build({
      entryPoints: [join(ROOT, 'src/storage/level.ts')],
      bundle: true,
      format: 'esm',
      platform: 'node',
      conditions: ['xorbit-source'],
      outfile: file,
      logLevel: 'silent',
    }),
  )

  test.each([11, 12, 13])('seed %i: everything that was acknowledged is there', async (seed) => {
    const { acknowledged, problems } = await killOnce(pathToFileURL(file).href, seed, 1_000)
    expect(problems).toEqual([])
    expect(acknowledged).toBeGreaterThan(0)
  })

  test('is noticed to lose what is acknowledged too early', async () => {
    const hasty = join(folder, 'hasty.mjs')
    const text = readFileSync(file, 'utf8')
    const changed = text.replace('return group.done.then(() => "stored")', 'return "stored"')
    expect(changed).not.toBe(text)
    writeFileSync(hasty, changed)
    const { problems } = await killOnce(pathToFileURL(hasty).href, 14, 1_000)
    expect(problems).not.toEqual([])
  })
})

describe('damaged files', () => {
  const SEED = 21
  let made: Made
  beforeAll(async () => {
    made = await makeStore(openLevelStore, SEED, 1_500)
  })
  afterAll(() => made.close())

  test.each([
    ['flip', 20],
    ['truncation', 10],
  ])('%s: it opens or says why not, never returns a wrong record, and tells what was lost', async (damage, places) => {
    const outcomes: string[] = []
    for (let i = 0; i < places; i++) {
      const { outcome, problems } = await damageOnce(openLevelStore, made, SEED, i, damage)
      expect(problems).toEqual([])
      outcomes.push(outcome)
    }
    // Else the damage would have been none.
    expect(outcomes).toContain('told')
    expect(outcomes).toContain('refused')
  })
})
