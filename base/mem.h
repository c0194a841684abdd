/* SPDX-License-Identifier: Apache-2.0 */
/* mem: memory for our own small things; running out of it ends the program */
#pragma once
#include "base/attr.h"
#include <stddef.h>

/*
 * Never NULL: out of memory is an ordinary death, the parent starts the program
 * again and nothing is lost.  Sizes chosen by others must be bounded before.
 * All are released with free().
 */
void *mem_alloc(size_t size) must_check;               /* zeroed */
void *mem_array(size_t count, size_t size) must_check; /* zeroed, overflow checked */
void *mem_resize(void *old, size_t count, size_t size) must_check;
char *mem_strdup(const char *text) must_check; /* NULL stays NULL */
char *mem_strndup(const char *text, size_t most) must_check;
char *mem_printf(const char *fmt, ...) printf_like(1, 2) must_check;

/* For scoped(mem_scoped_free): frees what the variable points to. */
void mem_scoped_free(void *pointer_to_pointer);
#define scoped_free scoped(mem_scoped_free)

/* Arena: allocate freely, forget, reset at the end of a request or a round. */
struct arena;
struct arena *arena_new(void) must_check;
void arena_free(struct arena *a);  /* NULL is fine */
void arena_reset(struct arena *a); /* everything in it is gone, blocks are kept */
void *arena_alloc(struct arena *a, size_t size) must_check;       /* zeroed, aligned */
char *arena_strdup(struct arena *a, const char *text) must_check; /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *text, size_t most) must_check;
char *arena_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3) must_check;
