import type { CallOptions } from './arguments.js'
import { copyOfContact, mustBeCallOptions, mustBePayload } from './arguments.js'
import { DhtError } from './errors.js'
import type { Address, Contact, NodeId } from './keyspace/index.js'
import type { LifeCycle } from './life-cycle.js'
import type { QueryReply } from './node/index.js'
import { answerApp, queryNodes } from './node/index.js'
import type { AppHandler } from './results.js'
import { SearchIterator } from './search-iterator.js'
import type { AppParams, Method } from './wire/index.js'
import { appMethod } from './wire/index.js'

const NO_PAYLOAD = new Uint8Array(0)

/** What {@link call} resolves with. */
export interface Answer<R> {
  readonly result: R
  readonly from: Contact
  readonly elapsedMs: number
}

/** Calls a method at a contact, whose id is verified, or at a place that a user named. */
export function call<P, R>(
  life: LifeCycle,
  method: Method<P, R>,
  to: Contact | Address,
  params: P,
  options: CallOptions | undefined,
): Promise<Answer<R>> {
  const { signal } = mustBeCallOptions(options)
  const expected = typeof to === 'string' ? undefined : to
  const name = expected ? expected.address : (to as Address)
  return life.run<Answer<R>>(signal, (done) => {
    const { rpc, table, transport } = life.parts.node
    const begin = (address: Address): (() => void) =>
      rpc.call(method, expected ? { id: expected.id, address } : { address }, params, {
        done: (error, result, from, elapsedMs) => done(error, { result: result as R, from, elapsedMs }),
      })
    // Of whom the table has, nothing has to be looked up: two promises less for each message.
    if (table.at(name) !== undefined) return begin(name)
    let isCancelled = false
    let cancel = (): void => {
      isCancelled = true
    }
    const onResolved = ([address]: readonly Address[]): void => {
      if (isCancelled) return
      if (address === undefined) done(new DhtError('ERR_UNRESOLVED', `${name} has no address`))
      else cancel = begin(address)
    }
    // Nothing but the application's own signal ends a search for a name: the close of the transport does too.
    transport.resolve(name, signal && { signal }).then(onResolved, done)
    return () => cancel()
  })
}

/** Queries the nodes on the way to a point of the key space. */
export function query(
  life: LifeCycle,
  target: NodeId,
  name: string,
  payload: Uint8Array,
  { signal }: CallOptions,
): SearchIterator<QueryReply> {
  return new SearchIterator(life, signal, ({ found, done }) => ({
    stop: queryNodes(life.parts.node, target, name, payload, {
      found: (reply) => found({ ...reply, from: copyOfContact(reply.from) }),
      done,
    }),
    // There are at most as many answers as a lookup asks nodes.
    resume: () => {},
  }))
}

/** Serves an application's messages of one name; returns what ends that. */
export function serve(life: LifeCycle, name: string, handler: AppHandler): () => void {
  life.mustNotBeClosed()
  const { rpc } = life.parts.node
  if (rpc.serves(name)) throw new RangeError(`${name} is handled already`)
  const answer = async ({ payload, target }: AppParams, from: Contact): Promise<Uint8Array> => {
    const result = await handler(payload, { from: copyOfContact(from), ...(target && { target }) })
    return result === undefined ? NO_PAYLOAD : mustBePayload(result)
  }
  return rpc.serve(
    appMethod(name),
    (params, request, reply) => {
      answer(params, request.from).then(
        (result) => reply.result(answerApp(life.parts.node, params, request, result)),
        (error) => {
          reply.error('ERR_REMOTE', 'the handler failed')
          if (!life.isClosed) life.events.emit('handlerFailed', { method: name, error })
        },
      )
    },
    true,
  )
}
