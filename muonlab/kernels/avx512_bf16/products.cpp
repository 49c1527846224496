#include "muonlab/kernels/avx512/products_internal.h"

#ifndef __AVX512BF16__
#error "this file is compiled with -mavx512bf16"
#endif

namespace muonlab::kernels {

const ProductTable kAvx512Bf16Products = {
    tile<Float32>, tile<BFloat16Pair>, finish,        sum_of_squares,
    burst_float32, burst_bfloat16,     kFlopsFloat32, 2 * kFlopsFloat32};

}  // namespace muonlab::kernels
