#include "muonlab/nn/fused_pass.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <span>

#include "muonlab/core/error.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/fused_state_internal.h"

namespace muonlab::nn {

namespace {

// Gradients of logits that are held at a time.
constexpr std::size_t kHeadBytes = std::size_t{48} << 20;
constexpr std::size_t kFewestHeadRows = 64;

std::size_t size_of(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

kernels::Activation activation_of(const std::string& name) {
  if (name == "silu") return kernels::Activation::kSilu;
  if (name == "gelu") return kernels::Activation::kGelu;
  if (name == "relu2") return kernels::Activation::kRelu2;
  if (name == "geglu") return kernels::Activation::kGeGlu;
  return kernels::Activation::kSwiGlu;
}

const std::int64_t* indices_of(const at::Tensor& tensor) {
  return reinterpret_cast<const std::int64_t*>(linalg::bytes_of(tensor).data());
}

void check_tokens(const at::Tensor& tensor, const char* what,
                  std::int64_t vocabulary) {
  MUONLAB_CHECK(tensor.scalar_type() == at::kLong, "FusedPass: ", what,
                ": expected int64");
  const std::int64_t* first = indices_of(tensor);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    MUONLAB_CHECK(first[i] >= 0 && first[i] < vocabulary, "FusedPass: ", what,
                  ": got ", first[i], " at place ", i,
                  ", expected 0 to below the vocabulary of ", vocabulary);
  }
}

void refuse_plain_only(const ModelConfig& config) {
  const std::string what = config.dropout > 0 ? "dropout"
                           : config.positions == "rotary_by_head"
                               ? "positions = rotary_by_head"
                               : "";
  if (what.empty()) return;
  throw Error(ErrorKind::kUnsupported,
              concat("FusedPass: the fused layers have no ", what),
              "use the plain layers (train.layers=plain)");
}

}  // namespace

class FusedPass::Impl {
 public:
  Impl(LanguageModel& model, const FusedOptions& options,
       core::ThreadPool& pool)
      : model_(model),
        options_(options),
        pool_(pool),
        barrier_(pool.size()),
        weights_(model.weights()) {
    refuse_plain_only(model.config());
    for (const auto& item : model.named_parameters()) {
      const at::Tensor& p = item.value();
      if (!p.device().is_cpu() || p.scalar_type() != at::kFloat ||
          !p.is_contiguous()) {
        throw Error(
            ErrorKind::kUnsupported,
            concat("FusedPass: parameter '", item.key(), "' is ",
                   c10::toString(p.scalar_type()), " on ", p.device().str(),
                   "; the fused layers need float32 in C order on the "
                   "CPU"),
            "use the plain layers (train.layers=plain)");
      }
    }
    const auto element = options.precision == Precision::kBFloat16
                             ? kernels::Element::kBFloat16
                             : kernels::Element::kFloat32;
    for (const BlockTensors& block : weights_.blocks) {
      for (const at::Tensor* w :
           {&block.qkv, &block.output, &block.up, &block.down}) {
        packed_.emplace_back(*w, element);
      }
    }
    packed_.emplace_back(
        weights_.head.defined() ? weights_.head : weights_.embedding, element);
    const ModelConfig& c = model.config();
    sizes_.width = size_of(c.width);
    sizes_.heads = size_of(c.heads);
    sizes_.head_features = size_of(c.width / c.heads);
    sizes_.hidden = size_of(c.hidden);
    sizes_.up = size_of(weights_.blocks.front().up.size(0));
    sizes_.vocabulary = size_of(c.vocabulary);
    sizes_.layers = size_of(c.layers);
    sizes_.element = element;
    sizes_.activation = activation_of(c.activation);
  }

  double add_gradients(const at::Tensor& tokens, const at::Tensor& targets,
                       double scale, bool accumulate) {
    run(tokens, targets, true, scale, accumulate);
    if (watched_) publish_logits();
    double sum = 0;
    for (const float loss : losses()) sum += loss;
    return sum / static_cast<double>(sizes_.rows);
  }

  std::vector<float> token_losses(const at::Tensor& tokens,
                                  const at::Tensor& targets,
                                  std::vector<std::uint8_t>* hits) {
    run(tokens, targets, false, 0, false);
    if (hits != nullptr) hits->assign(memory_.hits, memory_.hits + sizes_.rows);
    const auto all = losses();
    return {all.begin(), all.end()};
  }

  PassProfile profile;
  double forward_seconds = 0;
  bool profiling = false;

  [[nodiscard]] std::size_t memory_bytes() const {
    std::size_t bytes = space_.capacity();
    for (const PackedWeight& weight : packed_) bytes += weight.bytes();
    return bytes;
  }

 private:
  [[nodiscard]] std::span<const float> losses() const {
    return {memory_.losses, sizes_.rows};
  }

  void set_sizes(const at::Tensor& tokens, bool backward) {
    PassSizes s = sizes_;
    s.batch = size_of(tokens.size(0));
    s.length = size_of(tokens.size(1));
    s.rows = s.batch * s.length;
    s.backward = backward;
    s.checkpointing = options_.checkpointing;
    const std::size_t per_row = s.vocabulary * kernels::bytes_of(s.element);
    const std::size_t fit = std::max(kFewestHeadRows * pool_.size(),
                                     kHeadBytes / per_row / 16 * 16);
    s.head_rows = std::min(
        s.rows, options_.head_rows > 0 ? size_of(options_.head_rows) : fit);
    if (s == sizes_ && memory_.out != nullptr) return;
    sizes_ = s;
    memory_ = lay_out(sizes_, pool_.size(), model_.config().qk_norm, space_);
  }

  // The gradients' memory: made where missing.
  float* gradient(const at::Tensor& parameter) const {
    at::Tensor& grad = parameter.mutable_grad();
    if (!grad.defined()) {
      // Zeros: the first call may add.
      grad = at::zeros_like(parameter);
    }
    return linalg::mutable_floats_of(grad);
  }

  void run(const at::Tensor& tokens, const at::Tensor& targets, bool backward,
           double scale, bool accumulate) {
    const at::NoGradGuard no_grad;
    const ModelConfig& config = model_.config();
    MUONLAB_CHECK(tokens.dim() == 2 && tokens.size(1) >= 1 &&
                      tokens.size(1) <= config.context && tokens.size(0) >= 1,
                  "FusedPass: tokens: got shape ", tokens.sizes(),
                  ", expected (batch, length) with length 1 to ",
                  config.context);
    MUONLAB_CHECK(targets.sizes() == tokens.sizes(),
                  "FusedPass: targets: got shape ", targets.sizes(),
                  ", expected that of the tokens, ", tokens.sizes());
    check_tokens(tokens, "tokens", config.vocabulary);
    check_tokens(targets, "targets", config.vocabulary);
    set_sizes(tokens, backward);
    watched_ = model_.watches_logits();
    for (PackedWeight& weight : packed_) weight.prepare(backward);
    prepare_blocks(backward);
    HeadWeights head{linalg::floats_of(weights_.norm), &packed_.back(),
                     nullptr};
    float* d_embedding = nullptr;
    float* d_gain = nullptr;
    if (backward) {
      d_embedding = gradient(weights_.embedding);
      head.d_head =
          weights_.head.defined() ? gradient(weights_.head) : d_embedding;
      d_gain = gradient(weights_.norm);
    }
    // The mean over tokens is part of the gradient of each.
    const auto token_scale =
        static_cast<float>(scale / static_cast<double>(sizes_.rows));
    const auto begin = std::chrono::steady_clock::now();
    pool_.run([&](std::size_t rank) {
      PassThread thread{.sizes = sizes_,
                        .memory = memory_,
                        .barrier = barrier_,
                        .rank = rank,
                        .ranks = pool_.size(),
                        .profile = profiling && rank == 0 ? &profile : nullptr,
                        .qk_norm = config.qk_norm,
                        .eps = static_cast<float>(config.norm_eps),
                        .accumulate = accumulate,
                        .watch_logits = watched_};
      if (weights_.rotary.cosine.defined()) {
        thread.cosine = linalg::floats_of(weights_.rotary.cosine);
        thread.sine = linalg::floats_of(weights_.rotary.sine);
      }
      refresh_weights(thread);
      forward(thread, indices_of(tokens));
      float* gains = thread.own().gains;
      std::fill_n(gains, (2 * sizes_.layers + 1) * sizes_.width, 0.0F);
      head_pass(thread, head, indices_of(targets), token_scale,
                gains + 2 * sizes_.layers * sizes_.width);
      if (rank == 0) {
        forward_seconds = std::chrono::duration<double>(
                              std::chrono::steady_clock::now() - begin)
                              .count();
      }
      if (!backward) return;
      for (std::size_t layer = sizes_.layers; layer-- > 0;) {
        const BlockMemory& block = memory_.blocks[layer];
        if (options_.checkpointing) {
          block_forward(thread, block, blocks_[layer], layer, nullptr);
          thread.wait();
        }
        block_backward(thread, block, blocks_[layer],
                       gains + 2 * layer * sizes_.width);
      }
      scale_embedded(thread, memory_.backward.dx);
      thread.wait();
      embedding_gradient(thread, indices_of(tokens), d_embedding);
      gain_gradients(thread, d_gain);
    });
  }

  void prepare_blocks(bool backward) {
    blocks_.resize(weights_.blocks.size());
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const BlockTensors& tensors = weights_.blocks[i];
      BlockWeights& w = blocks_[i];
      w.first_gain = linalg::floats_of(tensors.attention_norm);
      w.second_gain = linalg::floats_of(tensors.feed_forward_norm);
      w.qkv = &packed_[4 * i];
      w.output = &packed_[4 * i + 1];
      w.up = &packed_[4 * i + 2];
      w.down = &packed_[4 * i + 3];
      w.scale = static_cast<float>(tensors.scale);
      if (!backward) continue;
      w.d_qkv = gradient(tensors.qkv);
      w.d_output = gradient(tensors.output);
      w.d_up = gradient(tensors.up);
      w.d_down = gradient(tensors.down);
      gain_gradients_.resize(2 * blocks_.size());
      gain_gradients_[2 * i] = gradient(tensors.attention_norm);
      gain_gradients_[2 * i + 1] = gradient(tensors.feed_forward_norm);
    }
  }

  void refresh_weights(const PassThread& t) const {
    bool any = false;
    for (const PackedWeight& weight : packed_) any = any || weight.stale();
    if (!any) return;
    {
      const PassProfile::Timer timer(t.profile, PassPart::kPack);
      for (const PackedWeight& weight : packed_) {
        weight.refresh(t.rank, t.ranks);
      }
    }
    t.wait();
  }

  void forward(const PassThread& t, const std::int64_t* tokens) const {
    const PassSizes& s = sizes_;
    {
      const PassProfile::Timer timer(t.profile, PassPart::kEmbedding);
      const float* table = linalg::floats_of(weights_.embedding);
      float* x = memory_.blocks.front().x;
      for (std::size_t row = t.row_begin(); row < t.row_end(); ++row) {
        std::memcpy(x + row * s.width,
                    table + static_cast<std::size_t>(tokens[row]) * s.width,
                    s.width * sizeof(float));
      }
      scale_embedded(t, x);
    }
    for (std::size_t layer = 0; layer < s.layers; ++layer) {
      float* out =
          layer + 1 < s.layers ? memory_.blocks[layer + 1].x : memory_.out;
      block_forward(t, memory_.blocks[layer], blocks_[layer], layer, out);
    }
  }

  // This thread's rows, on the way in and on the way back.
  void scale_embedded(const PassThread& t, float* x) const {
    if (!model_.config().scale_embedding) return;
    const float scale = std::sqrt(static_cast<float>(sizes_.width));
    for (std::size_t i = t.row_begin() * sizes_.width;
         i < t.row_end() * sizes_.width; ++i) {
      x[i] *= scale;
    }
  }

  // Each thread has a part of the table, and adds the tokens' rows in order.
  void embedding_gradient(const PassThread& t, const std::int64_t* tokens,
                          float* table) const {
    const PassProfile::Timer timer(t.profile, PassPart::kEmbedding);
    const PassSizes& s = sizes_;
    const std::size_t begin = s.vocabulary * t.rank / t.ranks;
    const std::size_t end = s.vocabulary * (t.rank + 1) / t.ranks;
    if (!t.accumulate && weights_.head.defined()) {
      std::fill_n(table + begin * s.width, (end - begin) * s.width, 0.0F);
    }
    kernels::add_rows_at(s.rows, s.width, memory_.backward.dx, s.width, tokens,
                         static_cast<std::int64_t>(begin),
                         static_cast<std::int64_t>(end), table, s.width);
  }

  void gain_gradients(const PassThread& t, float* last) const {
    const std::size_t width = sizes_.width;
    for (std::size_t g = t.rank; g < 2 * sizes_.layers + 1; g += t.ranks) {
      float* to = g < gain_gradients_.size() ? gain_gradients_[g] : last;
      for (std::size_t i = 0; i < width; ++i) {
        float sum = t.accumulate ? to[i] : 0.0F;
        for (const ThreadMemory& of : memory_.threads) {
          sum += of.gains[g * width + i];
        }
        to[i] = sum;
      }
    }
  }

  void publish_logits() {
    const PassSizes& s = sizes_;
    for (std::size_t layer = 0; layer < s.layers; ++layer) {
      std::vector<double> largest(s.heads, -INFINITY);
      const float* seen = memory_.largest_logits + layer * s.batch * s.heads;
      for (std::size_t i = 0; i < s.batch * s.heads; ++i) {
        double& best = largest[i % s.heads];
        // A NaN stays, as in LibTorch's maximum.
        if (!(seen[i] <= best)) best = seen[i];
      }
      model_.saw_logits(static_cast<std::int64_t>(layer),
                        linalg::tensor_of(largest).to(at::kFloat));
    }
  }

  LanguageModel& model_;
  FusedOptions options_;
  core::ThreadPool& pool_;
  core::Barrier barrier_;
  ModelTensors weights_;
  std::vector<PackedWeight> packed_;
  std::vector<BlockWeights> blocks_;
  std::vector<float*> gain_gradients_;
  kernels::Workspace space_;
  PassSizes sizes_;
  PassMemory memory_;
  bool watched_ = false;
};

FusedPass::FusedPass(LanguageModel& model, const FusedOptions& options,
                     core::ThreadPool& pool)
    : impl_(std::make_unique<Impl>(model, options, pool)) {}

FusedPass::~FusedPass() = default;

double FusedPass::add_gradients(const at::Tensor& tokens,
                                const at::Tensor& targets, double scale,
                                bool accumulate) {
  return impl_->add_gradients(tokens, targets, scale, accumulate);
}

std::vector<float> FusedPass::losses(const at::Tensor& tokens,
                                     const at::Tensor& targets,
                                     std::vector<std::uint8_t>* hits) {
  return impl_->token_losses(tokens, targets, hits);
}

double FusedPass::forward_seconds() const { return impl_->forward_seconds; }
void FusedPass::set_profiling(bool on) { impl_->profiling = on; }
const PassProfile& FusedPass::profile() const { return impl_->profile; }
void FusedPass::reset_profile() { impl_->profile = {}; }
std::size_t FusedPass::memory_bytes() const { return impl_->memory_bytes(); }

}  // namespace muonlab::nn
