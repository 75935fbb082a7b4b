export { type Codec, createCodec, networkTag, responseOverheadBytes } from './codec.js'
export {
  ADDRESS_KIND_IPV4,
  ADDRESS_KIND_IPV6,
  type ContactPacker,
  createContactPacker,
  familyFlags,
} from './contacts.js'
export { errorCode, errorNumber } from './error-codes.js'
export * from './limits.js'
export {
  type ErrorMessage,
  Flag,
  type Message,
  PROTOCOL_VERSION,
  type RequestMessage,
  type ResponseMessage,
  type Unreadable,
} from './message.js'
export * from './methods.js'
