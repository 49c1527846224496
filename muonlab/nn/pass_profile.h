// Where the time of a forward and backward pass goes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace muonlab::nn {

enum class PassPart {
  kPack,            ///< weights into the form that the products read
  kEmbedding,       ///< look-up, and adding up its gradient
  kNorm,            ///< RMSNorm, both ways
  kHeads,           ///< rotary positions and the norm of queries and keys
  kActivation,      ///< between the feed-forward's products
  kForward,         ///< products of the blocks, forward
  kInputGradient,   ///< products dy W of the blocks
  kWeightGradient,  ///< products dy^T x of the blocks
  kAttention,       ///< forward
  kAttentionBackward,
  kHeadProducts,  ///< logits and both gradients of the head
  kCrossEntropy,
  kWait,  ///< for the other threads
  kCount
};
[[nodiscard]] std::string_view pass_part_name(PassPart part);

/// Seconds and operations of one thread, since the last reset. Operations are
/// those of products and attention (causal half counted) of that thread.
struct PassProfile {
  static constexpr std::size_t kParts =
      static_cast<std::size_t>(PassPart::kCount);
  std::array<double, kParts> seconds{};
  std::array<double, kParts> flops{};

  /// Adds the time until it is destroyed.
  class Timer {
   public:
    Timer(PassProfile* profile, PassPart part, double flops = 0)
        : profile_(profile), part_(static_cast<std::size_t>(part)) {
      if (profile_ == nullptr) return;
      profile_->flops[part_] += flops;
      begin_ = Clock::now();
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() {
      if (profile_ == nullptr) return;
      profile_->seconds[part_] +=
          std::chrono::duration<double>(Clock::now() - begin_).count();
    }

   private:
    using Clock = std::chrono::steady_clock;
    PassProfile* profile_;
    std::size_t part_;
    Clock::time_point begin_;
  };
};

}  // namespace muonlab::nn
