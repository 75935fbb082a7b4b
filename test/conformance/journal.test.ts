import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, test } from 'vitest'
import { Journal } from '../../src/cli/journal.js'
import { openLevelStore } from '../../src/storage/level.js'
import type { RecordStoreLimits } from '../../src/storage/record-store.js'
import { recordStoreConformance } from '../../src/testing/record-store-conformance.js'

describe('the store on a disk keeps what a record store promises, over the journal of the program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xorbit-journal-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let count = 0
  const create = (limits: RecordStoreLimits) => openLevelStore(new Journal(join(folder, `${++count}`)), limits)
  const reopen = (limits: RecordStoreLimits) => openLevelStore(new Journal(join(folder, `${count}`)), limits)
  for (const { name, run } of recordStoreConformance({ create, reopen })) test(name, run)
})
