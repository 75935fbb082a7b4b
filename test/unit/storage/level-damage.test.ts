import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOT } from '../examples/programs.js'

interface Killed {
  readonly acknowledged: number
  readonly problems: string[]
}
interface Outcome {
  readonly outcome: string
  readonly problems: string[]
}

// Plain JavaScript of the scripts, without types of its own.
const script = (name: string) => import(new URL(`../../../scripts/store/${name}.js`, import.meta.url).href)
const { killOnce } = (await script('kill')) as {
  killOnce: (entry: string, seed: number, writes: number) => Promise<Killed>
}
const { damageMany } = (await script('flips')) as {
  damageMany: (
    entry: string,
    seed: number,
    records: number,
    damages: [damage: string, places: number][],
    onOutcome: (outcome: Outcome) => void,
  ) => Promise<void>
}

const folder = mkdtempSync(join(tmpdir(), 'xorbit-damage-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

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

describe('kill -9 in the middle of writes', () => {
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

test.each([
  ['flip', 20],
  ['truncation', 10],
] as [string, number][])(
  '%s of files: it opens or says why not, never returns a wrong record, and tells what was lost',
  async (damage, places) => {
    const outcomes: Outcome[] = []
    await damageMany(pathToFileURL(file).href, 21, 1_500, [[damage, places]], (outcome) => outcomes.push(outcome))
    expect(outcomes.flatMap(({ problems }) => problems)).toEqual([])
    expect(outcomes).toHaveLength(places)
    // Else the damage would have been none.
    const kinds = outcomes.map(({ outcome }) => outcome)
    expect(kinds).not.toContain('aborted')
    expect(kinds).toContain('told')
    expect(kinds).toContain('refused')
    if (damage === 'truncation') expect(kinds).toContain('cut')
  },
)
