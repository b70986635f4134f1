/* The header is complete in itself as C++: this is compiled with every warning an error, and needs nothing else. */
#include <cgconv.h>

int main() {
    cgconv_spec spec;
    cgconv_spec_init(&spec);
    return spec.struct_size != sizeof spec;
}
