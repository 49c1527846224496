// What the updates of a run look like, matrix by matrix.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "muonlab/formats/json.h"
#include "muonlab/optim/optimizer.h"

namespace muonlab::optim {

struct DiagnosticsOptions {
  std::int64_t every = 10;         ///< steps between cheap ones; 0: never
  std::int64_t spectra_every = 0;  ///< steps between spectra; 0: never
  std::string spectra = "*";  ///< parameters whose spectra are taken (`*`: any)
};

/// Watches an optimizer's steps. For each logical matrix (and each parameter of
/// an element-wise rule), on the steps that `every` names:
///
///   w_rms            |W| / sqrt(numel), after the step
///   u_rms            |U| / sqrt(numel), W <- (1-decay) W - lr U; with cautious
///                    and hyperball steps U holds the decay or projection too
///   u_rms_expected   of an exact polar factor at full rank, where the scale is
///                    known beforehand
///   u_w_ratio        |W' - W| / |W|
///   angle            between W and W', radians
///   swallowed        bfloat16 and float16: share of entries that a non-zero
///                    gradient left as they were
///
/// and on the steps that `spectra_every` names, for the parameters that match:
///
///   w_norm, u_norm       largest singular value
///   w_entropy, w_stable_rank     of W (see linalg::Spectrum)
///   d_entropy, d_stable_rank     of W - W0, W0 as at the first step seen
///   ortho_err            |OO^T - I| / sqrt(n) of the orthogonalised update
///   cos_adam             cosine of U with Adam's (.9, .95) direction
///
/// Weights are copied on the steps that are measured; for the matrices with
/// spectra W0 and Adam's two moments are kept.
class Diagnostics : public StepObserver {
 public:
  explicit Diagnostics(DiagnosticsOptions options);

  /// `step` counts from 1; call before Optimizer::step().
  void begin(std::int64_t step);
  /// True when this step's values will be there after it.
  [[nodiscard]] bool due() const { return cheap_ || spectra_; }
  [[nodiscard]] bool spectra_due() const { return spectra_; }
  /// {"parameter or parameter.block": {...}} of the step that was begun; empty
  /// when nothing was due.
  [[nodiscard]] formats::Json take();

  void begin_step(double gradient_scale) override {
    gradient_scale_ = gradient_scale;
  }
  void before_update(const Route& route, const GroupOptions& options) override;
  void after_update(const Route& route, const GroupOptions& options) override;

 private:
  struct Memory {
    at::Tensor initial;
    at::Tensor first_moment;
    at::Tensor second_moment;
    std::int64_t steps = 0;
  };
  [[nodiscard]] bool has_spectra(const Route& route) const;
  [[nodiscard]] at::Tensor adam_direction(const Route& route) const;

  DiagnosticsOptions options_;
  double gradient_scale_ = 1;
  bool cheap_ = false;
  bool spectra_ = false;
  std::map<std::string, at::Tensor> before_;
  std::map<std::string, Memory> memory_;
  formats::Json layers_ = formats::Json::object();
};

}  // namespace muonlab::optim
