import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { MemoryLevel } from 'memory-level'
import { afterAll, describe, test } from 'vitest'
import { openLevelStore } from '../../src/storage/level.js'
import type { RecordStoreLimits } from '../../src/storage/record-store.js'
import { recordStoreConformance } from '../../src/testing/record-store-conformance.js'

describe('the store on a disk keeps what a record store promises, over memory-level', () => {
  let level = new MemoryLevel<string, string>()
  const create = (limits: RecordStoreLimits) => {
    level = new MemoryLevel()
    return openLevelStore(level, limits)
  }
  const reopen = (limits: RecordStoreLimits) => openLevelStore(level, limits)
  for (const { name, run } of recordStoreConformance({ create, reopen })) test(name, run)
})

describe('the store on a disk keeps what a record store promises, over a part of memory-level', () => {
  let level = new MemoryLevel<string, string>()
  const create = (limits: RecordStoreLimits) => {
    level = new MemoryLevel()
    return openLevelStore(level.sublevel('records', { valueEncoding: 'json' }), limits)
  }
  const reopen = (limits: RecordStoreLimits) => openLevelStore(level.sublevel('records'), limits)
  for (const { name, run } of recordStoreConformance({ create, reopen })) test(name, run)
})

describe('the store on a disk keeps what a record store promises, over classic-level', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-level-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let count = 0
  const create = (limits: RecordStoreLimits) => openLevelStore(new ClassicLevel(join(folder, `${++count}`)), limits)
  // Flushing is the default, and too slow only for a test of thousands of writes.
  const reopen = (limits: RecordStoreLimits) => openLevelStore(new ClassicLevel(join(folder, `${count}`)), limits)
  for (const { name, run } of recordStoreConformance({ create, reopen })) test(name, run)
})
