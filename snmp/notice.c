/* SPDX-License-Identifier: Apache-2.0 */
/* notice: one transition of an alarm, as it goes out */
#include "snmp/notice.h"
#include <string.h>

int
notice_severity(const struct notice *n)
{
	static const char *const words[] = { "cleared", "indeterminate", "critical",
		"major", "minor", "warning" };

	if (strcmp(n->kind, "clear") == 0)
		return 1;
	for (int i = 0; i < (int)ARRAY_LEN(words); i++)
		if (strcmp(n->severity, words[i]) == 0)
			return i + 1;
	return 2;
}

size_t
text_cut(const char *text, size_t most)
{
	size_t n = strnlen(text, most + 1);

	if (n <= most)
		return n;
	for (n = most; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

/* Bytes of the well-formed character at s (RFC 3629), or 0. */
static size_t
character(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1
	    : s[0] < 0xc2      ? 0
	    : s[0] < 0xe0      ? 2
	    : s[0] < 0xf0      ? 3
			       : 4;

	if (s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

const char *
text_clean(char *out, size_t room, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t used = 0;

	while (*s != '\0') {
		size_t n = character(s);
		if (used + (n > 1 ? n : 1) >= room)
			break;
		if (n > 1)
			memcpy(out + used, s, n);
		else if (n == 1)
			out[used] = *s < 0x20 || *s == 0x7f ? ' ' : (char)*s;
		else
			out[used] = '?';
		used += n > 1 ? n : 1;
		s += n > 1 ? n : 1;
	}
	out[used] = '\0';
	return out;
}
