// Every entry can be imported and required, and both give the same module.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as xorbit from 'xorbit'
import * as level from 'xorbit/level'
import manifest from 'xorbit/package.json' with { type: 'json' }
import * as testing from 'xorbit/testing'
import * as udp from 'xorbit/udp'

const require = createRequire(import.meta.url)
assert.equal(typeof xorbit.createDht, 'function')
assert.equal(typeof udp.udp, 'function')
assert.equal(typeof testing.Simulator, 'function')
assert.equal(typeof level.openLevelStore, 'function')
assert.equal(manifest.name, 'xorbit')
assert.equal(require('xorbit').createDht, xorbit.createDht)
assert.equal(require('xorbit/udp').udp, udp.udp)
assert.equal(require('xorbit/testing').Simulator, testing.Simulator)
assert.equal(require('xorbit/level').openLevelStore, level.openLevelStore)
// Not the whole: Bun gives the module of the import here.
assert.equal(require('xorbit/package.json').version, manifest.version)
// The peer dependency is optional: nothing of it is there unless somebody asks for it.
assert.throws(() => require.resolve('abstract-level'), { code: 'MODULE_NOT_FOUND' })
