/* The gradients of one instruction set, for f32, then for f64. Parameters: words_template.h. */
#include <string.h>

#include "words_template.h"

#define DTYPE f32
#define REAL float
#define LANES CGC_LANES_F32
#include "gradient_grades_template.h"
#undef DTYPE
#undef REAL
#undef LANES

#define DTYPE f64
#define REAL double
#define LANES CGC_LANES_F64
#include "gradient_grades_template.h"
