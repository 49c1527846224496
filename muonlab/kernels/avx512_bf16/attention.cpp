#include "muonlab/kernels/avx512/attention_internal.h"

#ifndef __AVX512BF16__
#error "this file is compiled with -mavx512bf16"
#endif

namespace muonlab::kernels {

constinit const AttentionTable kAvx512Bf16Attention = table_of<Avx512>();

}  // namespace muonlab::kernels
