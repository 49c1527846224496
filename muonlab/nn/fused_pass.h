// Loss and gradients of a LanguageModel by fused CPU kernels, without autograd:
// the fast twin of LanguageModel::loss() and backward().
//
// Nothing of size tokens x tokens and no full logits are ever stored, memory is
// taken once and used again at every call, and gradients are added up in place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "muonlab/core/thread_pool.h"
#include "muonlab/nn/fused_options.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/nn/pass_profile.h"

namespace muonlab::nn {

/// Sums have a fixed order for a thread count: results repeat bit for bit. The
/// model must outlive it; its weights may change between calls (a change that
/// autograd's version counter does not show is not seen).
class FusedPass {
 public:
  /// Throws Error(kUnsupported) unless the parameters are float32 tensors in C
  /// order on the CPU, and for dropout and rotary_by_head.
  FusedPass(LanguageModel& model, const FusedOptions& options,
            core::ThreadPool& pool);
  FusedPass(const FusedPass&) = delete;
  FusedPass& operator=(const FusedPass&) = delete;
  ~FusedPass();

  /// Mean cross-entropy in nats of targets; both (batch, length) int64, length
  /// <= context. Every parameter's grad() gets `scale` times the gradient: it
  /// is added with `accumulate`, else it replaces what was there (memory is
  /// used again). Fills in the attention's largest logits where they are
  /// watched. Throws Error(kInvalidArgument) on a token outside the vocabulary
  /// before anything is changed.
  double add_gradients(const at::Tensor& tokens, const at::Tensor& targets,
                       double scale = 1, bool accumulate = false);

  /// Cross-entropy of each token, in order, without gradients. `hits`, where
  /// wanted, gets a 1 for each token that the model ranks first.
  [[nodiscard]] std::vector<float> losses(
      const at::Tensor& tokens, const at::Tensor& targets,
      std::vector<std::uint8_t>* hits = nullptr);

  /// Of the last add_gradients(), until the loss was known; the head's
  /// gradients, which are made chunk by chunk with the loss, are part of it.
  [[nodiscard]] double forward_seconds() const;

  /// From now on the first thread's times are taken.
  void set_profiling(bool on);
  [[nodiscard]] const PassProfile& profile() const;
  void reset_profile();
  /// Bytes of activations, scratch and packed weights that it holds.
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muonlab::nn
