/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack: samples of one object.  The first is written as it is, each other as how far it
 * is from the first one: counters and gauges of two minutes differ by little.  Numbers
 * are bytes of seven bits, the lowest first; the eighth says that more follow.
 */
#include "meter/pack.h"
#include "base/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROOM_STEP = 32,
	NUMBER_MOST = 10,
	SAMPLE_MOST = (2 + PACK_VALUES_MOST) * NUMBER_MOST
};

static_assert(SAMPLE_MOST * 255 + ROOM_STEP < UINT16_MAX, "any number of them has room");

/* Into out; how many bytes it took. */
static size_t
number_put(unsigned char *out, uint64_t n)
{
	size_t length = 0;

	while (n >= 128) {
		out[length++] = (unsigned char)(n | 128);
		n >>= 7;
	}
	out[length++] = (unsigned char)n;
	return length;
}

static uint64_t
number_next(const struct pack *p, size_t *at)
{
	uint64_t n = 0;
	unsigned shift = 0;
	unsigned char byte;

	do {
		byte = p->bytes[(*at)++];
		n |= (uint64_t)(byte & 127) << shift;
		shift += 7;
	} while (byte >= 128);
	return n;
}

/* How far value is from base, small in either direction. */
static uint64_t
distance(uint64_t value, uint64_t base)
{
	uint64_t up = value - base;

	return up >> 63 != 0 ? ~(up << 1) : up << 1;
}

static uint64_t
moved(uint64_t base, uint64_t far)
{
	return base + ((far & 1) != 0 ? ~(far >> 1) : far >> 1);
}

static void
sample_next(const struct pack *p, size_t *at, const struct pack_sample *base,
    struct pack_sample *out)
{
	memset(out, 0, sizeof(*out));
	out->second = base->second + (int64_t)number_next(p, at);
	out->has = (uint32_t)number_next(p, at);
	for (unsigned f = 0; f < PACK_VALUES_MOST; f++)
		if ((out->has & 1U << f) != 0)
			out->values[f] = moved(base->values[f], number_next(p, at));
}

/* What the others are told from. */
static struct pack_sample
base_of(const struct pack *p)
{
	const struct pack_sample nothing = { .second = 0 };
	struct pack_sample first = nothing;
	size_t at = 0;

	if (p->count > 0)
		sample_next(p, &at, &nothing, &first);
	return first;
}

static void
bytes_add(struct pack *p, const unsigned char *bytes, size_t length)
{
	size_t want = p->length + length;

	if (want > p->room) {
		want = (want + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
		p->bytes = mem_resize(p->bytes, want, 1);
		p->room = (uint16_t)want;
	}
	memcpy(p->bytes + p->length, bytes, length);
	p->length = (uint16_t)(p->length + length);
}

void
pack_add(struct pack *p, const struct pack_sample *s)
{
	struct pack_sample base = base_of(p);
	unsigned char bytes[SAMPLE_MOST];
	size_t n = number_put(bytes, (uint64_t)(s->second - base.second));

	n += number_put(bytes + n, s->has);
	for (unsigned f = 0; f < PACK_VALUES_MOST; f++)
		if ((s->has & 1U << f) != 0)
			n += number_put(bytes + n,
			    distance(s->values[f], base.values[f]));
	bytes_add(p, bytes, n);
	p->last = s->second;
	p->count++;
}

int64_t
pack_first(const struct pack *p)
{
	return base_of(p).second;
}

void
pack_begin(struct pack *p)
{
	*p = (struct pack){ .last = p->last };
}

void
pack_done(struct pack *p)
{
	free(p->bytes);
	pack_begin(p);
}

bool
pack_next(const struct pack *p, struct pack_walk *walk, struct pack_sample *out)
{
	const struct pack_sample nothing = { .second = 0 };

	if (walk->at >= p->length)
		return false;
	if (walk->at == 0) {
		sample_next(p, &walk->at, &nothing, &walk->first);
		*out = walk->first;
	} else
		sample_next(p, &walk->at, &walk->first, out);
	return true;
}
