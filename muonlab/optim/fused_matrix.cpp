#include "muonlab/optim/fused_matrix.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "muonlab/kernels/elementwise.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/polar_chooser.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/optim/coupling.h"

namespace muonlab::optim {

namespace {

using linalg::MatrixMemory;

constexpr float rounded(double x) { return static_cast<float>(x); }

kernels::MomentumScalars momentum_scalars(const MatrixRule& r, std::int64_t t) {
  kernels::MomentumScalars s;
  const double b = r.momentum;
  s.kind = r.momentum_form == MomentumForm::kHeavyBall
               ? kernels::MomentumKind::kHeavyBall
           : r.momentum_form == MomentumForm::kEma
               ? kernels::MomentumKind::kEma
               : kernels::MomentumKind::kBiasCorrected;
  s.nesterov = r.nesterov;
  s.sign = r.pre == PreTransform::kSign;
  s.momentum = rounded(b);
  s.one_minus_momentum = rounded(1 - b);
  const auto n = static_cast<double>(t);
  s.correction = rounded(1 - std::pow(b, n));
  s.buffer_share = rounded(b / (1 - std::pow(b, n + 1)));
  s.gradient_share = rounded((1 - b) / (1 - std::pow(b, n)));
  return s;
}

PolarOptions resolved(const MatrixRule& rule, const MatrixStep& step) {
  return linalg::chosen_polar(rule.polar, step.weight.size(0),
                              step.weight.size(1));
}

// Whether the step's length is known before the factor is.
bool needs_length(const MatrixRule& r) {
  return r.scale == Scale::kExactRms || r.post == PostTransform::kUnitNorm ||
         r.post == PostTransform::kRowSecondMoment;
}

}  // namespace

// One matrix in work: what the kernels' callbacks see.
struct FusedMatrices::Item {
  Item(const Entry& entry, kernels::SimdLevel simd)
      : rule(*entry.rule), step(*entry.step), level(simd) {
    gradient = linalg::matrix_of(step.gradient);
    weight = linalg::mutable_matrix_of(step.weight);
    buffer = linalg::mutable_matrix_of(step.state.at("momentum"));
    momentum = momentum_scalars(rule, step.t);
    momentum.gradient.scale = rounded(entry.gradient_scale);
    if (rule.decay == Decay::kL2) {
      momentum.gradient.l2 = rounded(step.weight_decay);
    }
    if (rule.post == PostTransform::kSecondMoment) {
      moment = linalg::mutable_matrix_of(step.state.at("second_moment"));
    }
    if (rule.post == PostTransform::kRowSecondMoment) {
      at::Tensor rows = step.state.at("row_second_moment").unsqueeze(1);
      moment = linalg::mutable_matrix_of(rows);
    }
    second_moment = {rounded(rule.post_beta2), rounded(1 - rule.post_beta2),
                     rounded(rule.post_eps)};
    runs = (weight.rows + kernels::kPolarFinishRows - 1) /
           kernels::kPolarFinishRows;
    before.resize(runs);
    after.resize(runs);
    if (!needs_length(rule)) {
      coupling = coupling_of(shape_scale());
    }
  }

  [[nodiscard]] kernels::PolarJob job() {
    kernels::PolarJob job;
    job.rows = weight.rows;
    job.columns = weight.columns;
    job.source = {fill, this};
    job.finish_context = this;
    if (needs_length(rule)) job.measure = measure;
    job.finish = finish;
    return job;
  }

 private:
  [[nodiscard]] double shape_scale() const {
    return scale_factor(rule.scale, step.weight.size(0), step.weight.size(1)) *
           rule.scale_factor;
  }
  [[nodiscard]] kernels::Coupling coupling_of(double scale) const {
    return optim::coupling(rule.decay, scale, step.lr, step.weight_decay);
  }

  static void fill(void* context, std::size_t row, std::size_t rows,
                   std::size_t column, std::size_t columns, float* to,
                   std::size_t stride) {
    const Item& item = *static_cast<const Item*>(context);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t at = row + r;
      kernels::momentum_rows(
          item.gradient.data + at * item.gradient.stride + column,
          item.weight.data + at * item.weight.stride + column,
          item.buffer.data + at * item.buffer.stride + column, to + r * stride,
          columns, item.momentum, item.level);
    }
  }

  static void measure(void* context, float* factor, std::size_t stride,
                      std::size_t row, std::size_t rows) {
    Item& item = *static_cast<Item*>(context);
    const MatrixRule& rule = item.rule;
    const std::size_t columns = item.weight.columns;
    double sum = 0;
    double scaled = 0;
    for (std::size_t r = row; r < row + rows; ++r) {
      float* o = factor + r * stride;
      if (rule.post == PostTransform::kSecondMoment) {
        sum += kernels::second_moment_divide(
            o, item.moment.data + r * item.moment.stride, columns,
            item.second_moment, item.level);
        continue;
      }
      const double squares =
          kernels::summarise(o, columns, item.level).sum_of_squares;
      sum += squares;
      if (rule.post == PostTransform::kRowSecondMoment) {
        float& v = item.moment.data[r * item.moment.stride];
        v = rounded(rule.post_beta2 * v + (1 - rule.post_beta2) * squares /
                                              static_cast<double>(columns));
        const double root = std::sqrt(static_cast<double>(v)) + rule.post_eps;
        scaled += squares / (root * root);
      }
    }
    item.before[row / kernels::kPolarFinishRows] = sum;
    item.after[row / kernels::kPolarFinishRows] = scaled;
  }

  static void finish(void* context, const float* factor, std::size_t stride,
                     std::size_t row, std::size_t rows) {
    const Item& item = *static_cast<const Item*>(context);
    const MatrixRule& rule = item.rule;
    const std::size_t columns = item.weight.columns;
    const kernels::Coupling coupling = item.final_coupling();
    for (std::size_t r = row; r < row + rows; ++r) {
      float* w = item.weight.data + r * item.weight.stride;
      const float* o = factor + r * stride;
      if (rule.post == PostTransform::kSecondMoment && !needs_length(rule)) {
        kernels::second_moment_apply(
            w, o, item.moment.data + r * item.moment.stride, columns,
            item.second_moment, coupling, item.level);
      } else if (rule.post == PostTransform::kRowSecondMoment) {
        kernels::Coupling own = coupling;
        const double v = item.moment.data[r * item.moment.stride];
        own.step = rounded(coupling.step / (std::sqrt(v) + rule.post_eps));
        kernels::apply_rows(w, o, columns, own, item.level);
      } else {
        kernels::apply_rows(w, o, columns, coupling, item.level);
      }
    }
  }

  // Every run of rows adds the same sums in the same order.
  [[nodiscard]] kernels::Coupling final_coupling() const {
    if (!needs_length(rule)) return coupling;
    double squares = 0;
    double scaled = 0;
    for (std::size_t i = 0; i < runs; ++i) {
      squares += before[i];
      scaled += after[i];
    }
    double length = std::sqrt(squares);
    double post = 1;
    if (rule.post == PostTransform::kUnitNorm) {
      const auto n = static_cast<double>(std::min(weight.rows, weight.columns));
      post = length == 0 ? 0 : std::sqrt(n) / length;
      length = length == 0 ? 0 : std::sqrt(n);
    } else if (rule.post == PostTransform::kRowSecondMoment) {
      const double divided = std::sqrt(scaled) + rule.post_eps;
      post = length / divided;
      length = std::sqrt(scaled) * post;
    }
    if (rule.scale != Scale::kExactRms)
      return coupling_of(post * shape_scale());
    if (length == 0) return coupling_of(0);
    const auto count = static_cast<double>(weight.rows * weight.columns);
    return coupling_of(post * 0.2 * std::sqrt(count) /
                       (length + rule.scale_eps) * rule.scale_factor);
  }

  const MatrixRule& rule;
  MatrixStep& step;
  kernels::SimdLevel level;
  MatrixMemory<const float> gradient;
  MatrixMemory<float> weight, buffer, moment;
  kernels::MomentumScalars momentum;
  kernels::SecondMomentScalars second_moment;
  kernels::Coupling coupling;
  std::size_t runs = 0;
  // Sums of squares by run of rows: of O, and of O after the row division.
  std::vector<double> before, after;
};

bool FusedMatrices::takes(const MatrixRule& rule, const MatrixStep& step) {
  const bool pre =
      rule.pre == PreTransform::kNone || rule.pre == PreTransform::kSign;
  const bool scale =
      rule.scale == Scale::kExactRms ||
      shape_factor(rule.scale, step.weight.size(0), step.weight.size(1));
  // kScaled's decay is multiplied by the scale alone, not by what a
  // post-transform adds to it.
  const bool post = rule.post == PostTransform::kNone ||
                    rule.post == PostTransform::kSecondMoment ||
                    ((rule.post == PostTransform::kUnitNorm ||
                      rule.post == PostTransform::kRowSecondMoment) &&
                     rule.decay != Decay::kScaled);
  return pre && post && scale && rule.direction == Direction::kPolar &&
         linalg::has_matrix_memory(step.weight) &&
         linalg::has_matrix_memory(step.gradient) &&
         rule.polar.norm == PolarNorm::kFrobenius &&
         linalg::packed_schedule(resolved(rule, step)).has_value();
}

void FusedMatrices::add(const MatrixRule& rule, MatrixStep& step,
                        double gradient_scale) {
  entries_.push_back({&rule, &step, resolved(rule, step), gradient_scale});
}

void FusedMatrices::run() {
  const kernels::SimdLevel level = kernels::active_simd_level();
  std::vector<bool> done(entries_.size(), false);
  for (std::size_t first = 0; first < entries_.size(); ++first) {
    if (done[first]) continue;
    const PolarOptions& polar = entries_[first].polar;
    std::deque<Item> items;  // do not move
    std::vector<kernels::PolarJob> jobs;
    for (std::size_t i = first; i < entries_.size(); ++i) {
      if (done[i] || entries_[i].polar != polar) continue;
      done[i] = true;
      jobs.push_back(items.emplace_back(entries_[i], level).job());
    }
    kernels::polar_factors(jobs, *linalg::packed_schedule(polar),
                           linalg::kernel_pool(), level);
  }
  entries_.clear();
}

}  // namespace muonlab::optim
