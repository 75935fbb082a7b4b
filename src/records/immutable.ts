import { compareBytes } from './bytes.js'
import { FORM_PLAIN, isPlain, VALUE_BYTES_MAX } from './plain.js'
import type { RecordKind } from './record-kind.js'
import { KindCode } from './record-kind.js'
import { FORM_TREE, isTreeNode } from './tree.js'

/**
 * Immutable records: a form byte, then what the key is a hash of. Form 0 is a value; form 1 names the records that
 * make a longer one.
 */
export const immutableKind: RecordKind = {
  code: KindCode.immutable,
  name: 'immutable',
  recordBytesMax: 1 + VALUE_BYTES_MAX,
  slotsPerKeyMax: 1,
  isRelayed: true,
  isFirstEnough: true,
  isValid(key, record) {
    if (record[0] === FORM_PLAIN) return isPlain(key, record)
    return record[0] === FORM_TREE && isTreeNode(key, record)
  },
  // Two valid records of one key are equal. The greater of any two keeps the promises for other bytes too.
  merge: (a, b) => (compareBytes(a, b) >= 0 ? a : b),
}
