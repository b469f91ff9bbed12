// All programs of the suite, by name.

import { program as boost } from './boost.mjs'
import { program as libgcrypt } from './libgcrypt.mjs'
import { program as libuv } from './libuv.mjs'
import { program as protobuf } from './protobuf.mjs'
import { program as python } from './python.mjs'
import { program as libstdcxx } from './libstdcxx.mjs'
import { program as luajit } from './luajit.mjs'
import { program as libm } from './libm.mjs'
import { program as musl } from './musl.mjs'
import { program as rust } from './rust.mjs'
import { program as openssl } from './openssl.mjs'

/** @type {Record<string, import('./toolkit.mjs').Program>} */
export const programs = { openssl, luajit, libstdcxx, boost, libuv, python, musl, libgcrypt, protobuf, rust, libm }
