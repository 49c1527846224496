#include "muonlab/kernels/avx512/products_internal.h"

namespace muonlab::kernels {

// Pairs are widened, so bfloat16 runs at the float32 rate at best.
const ProductTable kAvx512Products = {
    tile<Float32>, tile<BFloat16Pair>, finish,        sum_of_squares,
    burst_float32, burst_float32,      kFlopsFloat32, kFlopsFloat32};

}  // namespace muonlab::kernels
