// The programs behind `check:runtimes`, `check:size` and `test:browser`, without a built package and without a browser.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import manifest from '../../../package.json' with { type: 'json' }
import { ROOT, typeErrors } from '../examples/programs.js'

const CHECKED = /^\/\/ @ts-check$/m

test('what is marked as type-checked passes', () => {
  const paths = ['scripts', 'scripts/package', 'scripts/packed'].flatMap((folder) =>
    readdirSync(`${ROOT}${folder}`)
      .filter((name) => name.endsWith('.js'))
      .map((name) => `${folder}/${name}`),
  )
  const texts = paths.map((path) => [path, readFileSync(`${ROOT}${path}`, 'utf8')] as const)
  const checked = texts.filter(([, text]) => CHECKED.test(text))
  expect(checked.length).toBeGreaterThan(10)
  expect(typeErrors(Object.fromEntries(checked))).toEqual([])
})

test('every entry of the package and its program are named under files, as bundles are packed by name', () => {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [target.default],
  )
  const needed = [...targets, ...Object.values(manifest.bin)].map((path) => `${path.replace(/^\.\//, '')}*`)
  expect(manifest.files).toEqual(expect.arrayContaining(needed))
})
