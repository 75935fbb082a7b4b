import { copyOfContact, mustBeCallOptions } from './arguments.js'
import type { Contact } from './keyspace/index.js'
import type { LifeCycle } from './life-cycle.js'
import type { PeerToAnnounce, StoredAt } from './node/index.js'
import { Announcement as RunningAnnouncement } from './node/index.js'
import type { RecordKind } from './records/index.js'
import type { Announcement } from './results.js'

/** Announces a peer, and goes on announcing it until the node closes or the application stops it. */
export async function announce(
  life: LifeCycle,
  kind: RecordKind,
  peer: PeerToAnnounce,
  signal: AbortSignal | undefined,
): Promise<Announcement> {
  const topic = new Uint8Array(peer.topic)
  const running = new RunningAnnouncement(life.parts.node, kind, peer, {
    failed: (error) => life.events.emit('republishFailed', { key: new Uint8Array(topic), error }),
  })
  const forget = life.onClose(() => running.abandon())
  try {
    const { storedAt, ...costs } = await life.run<StoredAt>(signal, (done) => running.start(done))
    return {
      topic,
      publicKey: new Uint8Array(peer.keys.publicKey),
      storedAt: storedAt.map(copyOfContact),
      ...costs,
      async stop(options) {
        const { signal: stopSignal } = mustBeCallOptions(options)
        stopSignal?.throwIfAborted()
        forget()
        // A closed node has stopped already, though without a word.
        if (life.isClosed) return { removedAt: [] }
        const removedAt = await life.run<Contact[]>(stopSignal, (done) => running.stop((at) => done(undefined, at)))
        return { removedAt: removedAt.map(copyOfContact) }
      },
    }
  } catch (error) {
    forget()
    running.abandon()
    throw error
  }
}
