/* The list of algorithms, best first. It must not know what they do. */
#include "algo.h"

const cgc_algorithm *cgc_algorithm_at(int index) {
    static const cgc_algorithm *const list[] = {
        &cgc_channelwise,     &cgc_grouped,        &cgc_grouped_pixels,
        &cgc_grouped_outputs, &cgc_grouped_packed, &cgc_reference,
    };
    return index >= 0 && index < (int)(sizeof list / sizeof list[0]) ? list[index] : NULL;
}
