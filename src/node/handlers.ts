import { FIND_NODE, FIND_VALUE, PING, STORE, TOKENS } from '../wire/index.js'
import { findNode } from './contact-handlers.js'
import type { NodeContext } from './node-context.js'
import { findValue, issueTokens, store } from './record-handlers.js'
import type { WriteTokens } from './write-tokens.js'

/** Answers the requests of the protocol. A client answers only PING: nothing should be looked for there. */
export function serveProtocol(node: NodeContext, tokens: WriteTokens): void {
  node.rpc.serve(PING, (_params, _request, reply) => reply.result({}))
  if (node.config.client) return
  node.rpc.serve(FIND_NODE, (params, request, reply) => findNode(node, params, request, reply))
  node.rpc.serve(FIND_VALUE, (params, request, reply) => findValue(node, tokens, params, request, reply))
  node.rpc.serve(STORE, (params, request, reply) => store(node, tokens, params, request, reply))
  node.rpc.serve(TOKENS, (params, request, reply) => issueTokens(node, tokens, params, request, reply))
}
