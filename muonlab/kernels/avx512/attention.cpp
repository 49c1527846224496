#include "muonlab/kernels/avx512/attention_internal.h"

namespace muonlab::kernels {

constinit const AttentionTable kAvx512Attention = table_of<Avx512>();

}  // namespace muonlab::kernels
