/* SPDX-License-Identifier: Apache-2.0 */
/* share: how many of the hosts a collector asks */
#include "meter/share.h"

size_t
share_of(size_t hosts, size_t collectors, size_t rank)
{
	if (collectors < 2)
		return hosts;
	return hosts / collectors + (rank < hosts % collectors ? 1 : 0);
}

size_t
share_wanted(size_t share, size_t held)
{
	return share > held ? share - held : 0;
}

size_t
share_surplus(size_t share, size_t held)
{
	return held > share ? held - share : 0;
}
