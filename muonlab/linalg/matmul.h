// Matrix products by the fastest road that LibTorch offers on this CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace muonlab::linalg {

/// a (m, k) times b (k, n), or (batch, m, k) times (batch, k, n), without
/// autograd; either may be a transposed view.
///
/// LibTorch sends f32 products to MKL, which takes its AVX2 path on CPUs that
/// Intel did not make: half of what AVX-512 cores can do. The oneDNN kernels
/// in the same library do not look at the maker, so f32 products on the CPU go
/// there when LibTorch was built with them, those of a batch one after the
/// other; everything else is at::mm and at::bmm. The
/// choice depends on dtype, device and shape alone, so results repeat bit for
/// bit. MUONLAB_MATMUL=aten in the environment forces at::mm.
[[nodiscard]] at::Tensor matmul(const at::Tensor& a, const at::Tensor& b);

/// "onednn" or "aten": what `matmul` uses for f32 on the CPU.
[[nodiscard]] const char* matmul_backend();

}  // namespace muonlab::linalg
