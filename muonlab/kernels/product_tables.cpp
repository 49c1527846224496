#include "muonlab/kernels/product_tables_internal.h"

#include "muonlab/core/error.h"

namespace muonlab::kernels {

const ProductTable& product_table(SimdLevel level) {
  if (!is_available(level)) {
    throw Error(ErrorKind::kUnsupported,
                concat("kernels: this build or machine has no ",
                       simd_level_name(level)));
  }
  switch (level) {
#ifdef MUONLAB_KERNELS_X86
    case SimdLevel::kAvx2:
      return kAvx2Products;
    case SimdLevel::kAvx512:
      return kAvx512Products;
    case SimdLevel::kAvx512Bf16:
      return kAvx512Bf16Products;
#endif
    default:
      return kScalarProducts;
  }
}

}  // namespace muonlab::kernels
