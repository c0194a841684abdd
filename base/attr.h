/* SPDX-License-Identifier: Apache-2.0 */
/* attr: the words of C that gcc 12 and clang 14 both speak, under one name */
#pragma once

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define no_return __attribute__((noreturn))
#define unused __attribute__((unused))
#define sentinel __attribute__((sentinel))
/* A foreign handle that closes itself: scoped(rows_clear) struct rows *r = ...; */
#define scoped(close_at) __attribute__((cleanup(close_at)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
