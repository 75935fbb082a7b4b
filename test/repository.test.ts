import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

type Files = ReadonlyMap<string, string>

const root = fileURLToPath(new URL('../', import.meta.url))
const SKIPPED = ['.git', 'dist', 'coverage', 'docs/api']

// A place of one segment, such as /app, would match too much else; the made-up one keeps the pattern from being empty.
const OWN_PLACES = [root.slice(0, -1), homedir(), join('/made', 'up')].filter((path) => path.split('/').length > 2)

// Put together from parts, so that this file itself stays free of them.
const FORBIDDEN: readonly { says: string; pattern: RegExp; broken: string }[] = [
  {
    says: 'no file holds a conflict that was never merged',
    pattern: /^(?:<{7}|>{7}) /m,
    broken: `a\n${'<'.repeat(7)} HEAD\nb`,
  },
  {
    says: 'no file holds a private key',
    pattern: /-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}/,
    broken: `${'-'.repeat(5)}BEGIN PRIVATE KEY${'-'.repeat(5)}`,
  },
  {
    says: 'no file names a home directory',
    pattern: /(?<![\w.~/-])\/(?:home|Users)\/[a-z][\w.-]*\//,
    broken: `see ${['', 'home', 'ada', 'notes.md'].join('/')}`,
  },
  {
    says: 'no file names the directory that it happens to be in, nor that of this account',
    pattern: new RegExp(`(?<![\\w./-])(?:${OWN_PLACES.map(escaped).join('|')})(?![\\w-])`),
    broken: `cd ${OWN_PLACES[0]}/src`,
  },
  {
    says: 'no file holds a note to come back to',
    pattern: /\b(?:TO[D]O|FIX[M]E)\b/,
    broken: `// ${'TO'}${'DO'}: later`,
  },
]

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function filesOf(folder: string): [path: string, text: string][] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.name === 'node_modules' || SKIPPED.includes(path) || /\.(?:tgz|log|png)$/.test(path)) return []
    if (entry.isDirectory()) return filesOf(path)
    return entry.isFile() ? [[path, readFileSync(join(root, path), 'utf8')]] : []
  })
}

function holding(files: Files, pattern: RegExp): string[] {
  return [...files].filter(([, text]) => pattern.test(text)).map(([path]) => path)
}

/** The addresses that a package-lock.json takes packages from: none, so that each machine uses its own registry. */
function addressesIn(lock: string): string[] {
  const packages = (JSON.parse(lock) as { packages: Record<string, { resolved?: string }> }).packages
  return Object.values(packages).flatMap(({ resolved }) => (resolved === undefined ? [] : [resolved]))
}

const files: Files = new Map(filesOf(''))

describe('the repository', () => {
  test('its files are found', () => {
    expect([...files.keys()]).toEqual(expect.arrayContaining(['package.json', 'src/errors.ts', '.gitignore']))
  })

  test('no package-lock.json names an address that packages are taken from', () => {
    const locks = [...files].filter(([path]) => /(?:^|\/)package-lock\.json$/.test(path))
    expect(locks.map(([path]) => path)).toEqual(['bench/peers/package-lock.json', 'package-lock.json'])
    for (const [, lock] of locks) expect(addressesIn(lock)).toEqual([])
    const broken = {
      packages: { '': {}, 'node_modules/a': {}, 'node_modules/b': { resolved: 'https://example.org/b.tgz' } },
    }
    expect(addressesIn(JSON.stringify(broken))).toEqual(['https://example.org/b.tgz'])
  })

  test('no settings of npm point elsewhere', () => {
    const path = join(root, '.npmrc')
    expect(existsSync(path) ? readFileSync(path, 'utf8') : '').not.toMatch(/registry|_auth/)
  })

  test.each(FORBIDDEN)('$says', ({ pattern, broken }) => {
    expect(holding(files, pattern)).toEqual([])
    expect(holding(new Map([['made-up', broken]]), pattern)).toEqual(['made-up'])
  })
})
