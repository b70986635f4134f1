// The header must be usable from C++ as it is, and its functions must have C linkage.
#include <cgconv.h>

int main() {
    cgconv_spec spec;
    cgconv_spec_init(&spec);
    return spec.struct_size == sizeof spec ? 0 : 1;
}
