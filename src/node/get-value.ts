import { DhtError } from '../errors.js'
import type { NodeId } from '../keyspace/index.js'
import { mapKey, toHex } from '../keyspace/index.js'
import type { RecordKind, TreeNode } from '../records/index.js'
import { immutableValue, isTree, LARGE_VALUE_BYTES_MAX, readTreeNode } from '../records/index.js'
import type { Attempts } from './attempts.js'
import { tryAgain } from './attempts.js'
import type { FoundRecord } from './get-record.js'
import { getRecord } from './get-record.js'
import type { NodeContext } from './node-context.js'
import type { Costs, Done } from './outcome.js'
import { Running } from './running.js'

/** How many parts are fetched at once: 32 KiB on their way. */
const PARTS_AT_ONCE = 32

/** How many nodes are asked for a part at once: with so many parts under way no one is waited for. */
const PART_ALPHA = 1

/** How often a part is looked up that was not found, or about which nothing could be said. */
const ATTEMPTS: Attempts = { max: 3, pauseMs: 250 }

/** What a search for a value came to. */
export interface FoundValue extends Costs {
  /** Undefined where more than half of the k nearest answered and none has one. */
  readonly value: Uint8Array | undefined
  /** Of how many records it was made, 1 for a short value. */
  readonly parts: number
}

/** How much of a value is stored, or has come. */
export interface ValueProgress {
  /** Bytes of the value that are. */
  readonly bytes: number
  /** Of how many. */
  readonly bytesTotal: number
}

/** Where a part of the value belongs. */
interface Place {
  readonly at: number
  readonly length: number
  /** 0 for a part of the value itself. */
  readonly level: number
}

/** A record that is needed, maybe in several places. */
interface WantedPart {
  readonly key: NodeId
  /** Where it belongs as soon as it comes. */
  readonly places: Place[]
  record: Uint8Array | undefined
}

/**
 * Gets the value of a key, and where it is of several records, all of them: at most some at once, each verified against
 * its key as it comes; where one is wrong or late, it is taken from another holder.
 *
 * @param onProgress - called when the size is known, and with each part
 * @returns cancels it
 */
export function getValue(
  node: NodeContext,
  key: NodeId,
  kind: RecordKind,
  onProgress: (progress: ValueProgress) => void,
  done: Done<FoundValue>,
): () => void {
  const startedAtMs = node.clock.now()
  let cancelParts = (): void => {}
  const cancelRoot = getRecord(node, key, kind, (error, found) => {
    if (!found) {
      done(error, undefined)
      return
    }
    const { record, ...costs } = found
    if (record === undefined || !isTree(record)) {
      const value = record && immutableValue(record)
      if (value) onProgress({ bytes: value.length, bytesTotal: value.length })
      done(undefined, { value, parts: 1, ...costs })
      return
    }
    const whenFetched: Done<Fetched> = (failure, fetched) => {
      if (!fetched) {
        done(failure, undefined)
        return
      }
      const messages = costs.messages + fetched.messages
      const elapsedMs = node.clock.now() - startedAtMs
      done(undefined, { value: fetched.value, parts: 1 + fetched.parts, hops: costs.hops, messages, elapsedMs })
    }
    const root = readTreeNode(record)
    if (root.length > LARGE_VALUE_BYTES_MAX) {
      const limits = `${root.length} bytes, and at most ${LARGE_VALUE_BYTES_MAX} are taken`
      done(new DhtError('ERR_VALUE_TOO_LARGE', `the value says it has ${limits}`), undefined)
      return
    }
    const fetching = new Fetching(node, kind, root, onProgress, whenFetched)
    // Before it begins: who is told of its first step may give up.
    cancelParts = () => fetching.stop()
    fetching.start()
  })
  return () => {
    cancelRoot()
    cancelParts()
  }
}

interface Fetched {
  readonly value: Uint8Array
  readonly parts: number
  readonly messages: number
}

class Fetching {
  readonly #node: NodeContext
  readonly #kind: RecordKind
  readonly #root: TreeNode
  readonly #onProgress: (progress: ValueProgress) => void
  readonly #done: Done<Fetched>
  readonly #running = new Running()
  readonly #value: Uint8Array
  readonly #wanted = new Map<string, WantedPart>()
  /** All of {@link Fetching.#wanted} in their order; grows while it is worked off, as nodes of the tree bring others. */
  readonly #queue: WantedPart[] = []
  #bytes = 0
  #messages = 0
  #isOver = false

  constructor(
    node: NodeContext,
    kind: RecordKind,
    root: TreeNode,
    onProgress: (progress: ValueProgress) => void,
    done: Done<Fetched>,
  ) {
    this.#node = node
    this.#kind = kind
    this.#root = root
    this.#onProgress = onProgress
    this.#done = done
    this.#value = new Uint8Array(root.length)
  }

  start(): void {
    this.#addBytes(0)
    this.#want(this.#root, 0)
    const fetchOne = (part: WantedPart, ended: () => void): (() => void) => this.#fetch(part, ended)
    this.#running.each(this.#queue, PARTS_AT_ONCE, fetchOne, () => this.#finish())
  }

  stop(): void {
    this.#isOver = true
    this.#running.cancelAll()
  }

  /** Queues the children of a node of the tree. */
  #want({ level, children }: TreeNode, at: number): void {
    let next = at
    for (const { key, length } of children) {
      const place = { at: next, length, level: level - 1 }
      next += length
      const known = this.#wanted.get(mapKey(key))
      if (known) {
        this.#put(known, [place])
        continue
      }
      const part: WantedPart = { key, places: [place], record: undefined }
      this.#wanted.set(mapKey(key), part)
      this.#queue.push(part)
    }
  }

  #fetch(part: WantedPart, ended: () => void): () => void {
    const { clock, config } = this.#node
    const getPart = (attempt: number, done: Done<FoundRecord>): (() => void) => {
      const whenDone: Done<FoundRecord> = (error, found) => {
        this.#messages += found?.messages ?? 0
        done(error, found)
      }
      return getRecord(this.#node, part.key, this.#kind, whenDone, attempt === 1 ? PART_ALPHA : config.alpha)
    }
    const isThere = (_: DhtError | undefined, found: FoundRecord | undefined): boolean => found?.record !== undefined
    return tryAgain(clock, ATTEMPTS, getPart, isThere, (error, found) => {
      if (this.#isOver) return
      if (!found?.record) {
        this.#fail(missing(part, this.#value.length, error))
        return
      }
      part.record = found.record
      this.#put(part, part.places.splice(0))
      ended()
    })
  }

  /** Puts a part where it belongs, or keeps the places until it comes. */
  #put(part: WantedPart, places: readonly Place[]): void {
    const { record } = part
    if (record === undefined) {
      part.places.push(...places)
      return
    }
    const tree = isTree(record) ? readTreeNode(record) : undefined
    const value = tree ? undefined : immutableValue(record)
    const [level, length] = [tree?.level ?? 0, tree?.length ?? value?.length]
    for (const place of places) {
      if (place.level !== level || place.length !== length) {
        this.#fail(
          new DhtError('ERR_MALFORMED_VALUE', `the part ${toHex(part.key)} is not of the size that is said of it`),
        )
        return
      }
      if (tree) {
        this.#want(tree, place.at)
      } else if (value) {
        this.#value.set(value, place.at)
        this.#addBytes(value.length)
      }
    }
  }

  #addBytes(bytes: number): void {
    this.#bytes += bytes
    this.#onProgress({ bytes: this.#bytes, bytesTotal: this.#value.length })
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#done(undefined, { value: this.#value, parts: this.#wanted.size, messages: this.#messages })
  }

  #fail(error: DhtError): void {
    if (this.#isOver) return
    this.stop()
    this.#done(error, undefined)
  }
}

function missing({ key, places }: WantedPart, length: number, cause: DhtError | undefined): DhtError {
  const [first] = places
  const where = `a part of the value, ${first?.length} bytes of ${length} from ${first?.at} on`
  const text = cause ? 'could not be asked for' : 'is held by nobody who answers'
  return new DhtError('ERR_INCOMPLETE', `${where}, ${text}: ${toHex(key)}`, { cause })
}
