/* SPDX-License-Identifier: Apache-2.0 */
/* mem: memory for our own small things; running out of it ends the program */
#include "base/mem.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 8192, ARENA_ALIGN = 16 };

struct block {
	struct block *next;
	size_t size;
	size_t used;
	_Alignas(ARENA_ALIGN) unsigned char bytes[];
};

struct arena {
	struct block *first;
};

static void *
given(void *memory)
{
	if (memory == NULL) {
		(void)fputs("<2>out of memory: this program ends and is started again\n",
		    stderr);
		abort();
	}
	return memory;
}

void *
mem_alloc(size_t size)
{
	return given(calloc(1, size != 0 ? size : 1));
}

void *
mem_array(size_t count, size_t size)
{
	return given(calloc(count != 0 ? count : 1, size != 0 ? size : 1));
}

void *
mem_resize(void *old, size_t count, size_t size)
{
	return given(reallocarray(old, count != 0 ? count : 1, size != 0 ? size : 1));
}

char *
mem_strdup(const char *text)
{
	return text == NULL ? NULL : given(strdup(text));
}

char *
mem_strndup(const char *text, size_t most)
{
	return text == NULL ? NULL : given(strndup(text, most));
}

char *
mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return given(n < 0 ? NULL : text);
}

void
mem_scoped_free(void *pointer_to_pointer)
{
	void *memory;

	memcpy(&memory, pointer_to_pointer, sizeof(memory));
	free(memory);
}

struct arena *
arena_new(void)
{
	return mem_alloc(sizeof(struct arena));
}

void
arena_free(struct arena *a)
{
	struct block *next;

	if (a == NULL)
		return;
	for (struct block *b = a->first; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void
arena_reset(struct arena *a)
{
	struct block *first = a->first;
	struct block *next;

	if (first == NULL)
		return;
	for (struct block *b = first->next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	first->next = NULL;
	first->used = 0;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	size_t want = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	struct block *b = a->first;
	size_t room;
	void *memory;

	if (want < size)
		given(NULL);
	if (b == NULL || b->size - b->used < want) {
		room = want > ARENA_BLOCK ? want : ARENA_BLOCK;
		b = given(malloc(sizeof(*b) + room));
		b->next = a->first;
		b->size = room;
		b->used = 0;
		a->first = b;
	}
	memory = b->bytes + b->used;
	b->used += want;
	return memset(memory, 0, size);
}

char *
arena_strdup(struct arena *a, const char *text)
{
	return text == NULL ? NULL : arena_strndup(a, text, strlen(text));
}

char *
arena_strndup(struct arena *a, const char *text, size_t most)
{
	size_t length;
	char *copy;

	if (text == NULL)
		return NULL;
	length = strnlen(text, most);
	copy = arena_alloc(a, length + 1);
	memcpy(copy, text, length);
	return copy;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	char *copy;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		given(NULL);
	copy = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(copy, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return copy;
}
