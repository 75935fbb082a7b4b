import { copyOfContact, copyOfRefusal, mustBeCallOptions } from './arguments.js'
import type { Contact } from './keyspace/index.js'
import { mapKey } from './keyspace/index.js'
import type { LifeCycle } from './life-cycle.js'
import type { PeerToAnnounce, StoredAt } from './node/index.js'
import { RunningAnnouncement } from './node/index.js'
import type { RecordKind } from './records/index.js'
import type { Announcement } from './results.js'

/** Announces a peer, and goes on announcing it until the node closes or the application stops it. */
export async function announce(
  life: LifeCycle,
  kind: RecordKind,
  peer: PeerToAnnounce,
  signal: AbortSignal | undefined,
): Promise<Announcement> {
  const { announcements } = life
  const topic = new Uint8Array(peer.topic)
  const name = mapKey(peer.topic) + mapKey(peer.keys.publicKey)
  const running = new RunningAnnouncement(life.parts.node, kind, peer, {
    failed: (error) => life.events.emit('republishFailed', { key: new Uint8Array(topic), error }),
  })
  // Holders have one record of a peer: from now on this one counts, and nobody renews the one before.
  announcements.get(name)?.abandon()
  announcements.set(name, running)
  const isCurrent = (): boolean => announcements.get(name) === running
  try {
    const { storedAt, refused, ...costs } = await life.run<StoredAt>(signal, (done) => running.start(done))
    // Another one may have begun meanwhile, or the node may have closed.
    if (!isCurrent() || life.isClosed) running.abandon()
    return {
      topic,
      publicKey: new Uint8Array(peer.keys.publicKey),
      storedAt: storedAt.map(copyOfContact),
      refused: refused.map(copyOfRefusal),
      ...costs,
      async stop(options) {
        const { signal: stopSignal } = mustBeCallOptions(options)
        stopSignal?.throwIfAborted()
        running.abandon()
        // A closed node has stopped already, though without a word; and what a newer one announces stays.
        const isReplaced = announcements.has(name) && !isCurrent()
        if (life.isClosed || isReplaced) return { removedAt: [] }
        announcements.delete(name)
        const removedAt = await life.run<Contact[]>(stopSignal, (done) => running.stop((at) => done(undefined, at)))
        return { removedAt: removedAt.map(copyOfContact) }
      },
    }
  } catch (error) {
    running.abandon()
    if (isCurrent()) announcements.delete(name)
    throw error
  }
}
