/*
 * Outputs so large that they leave the caches before anybody reads them. The stencil kernel writes them to a near place
 * first, from where they go past the caches: so memory is not read only to be overwritten, and is written from one end
 * to the other. It must not know what is computed.
 */
#ifndef CGC_STREAM_H
#define CGC_STREAM_H

#include "../kernels/kernels.h"

/* Of the near place, aligned to CGC_ALIGN. */
enum { CGC_STREAM_BYTES = 65536 };

/*
 * Whether it pays for so many output planes of so many cells, each a sum of `taps` terms; turned: rows are written from
 * the last one upwards.
 */
int cgc_stream_pays(double planes, double cells, double taps, int turned, double size);

/* Does what `stencil` says, for which `near` has room for the outputs of at least one source plane. */
void cgc_stream_planes(const cgc_kernels *kernels, const cgc_stencil *stencil, ptrdiff_t size, char *near);

#endif
