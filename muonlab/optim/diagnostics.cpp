#include "muonlab/optim/diagnostics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

#include "muonlab/core/text.h"
#include "muonlab/linalg/spectrum.h"
#include "muonlab/optim/decay.h"

namespace muonlab::optim {

namespace {

using formats::Json;
using formats::json_number;

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kEps = 1e-8;

at::Tensor plain(const at::Tensor& x) {
  return x.detach().to(working_dtype(x.scalar_type()));
}

double norm_of(const at::Tensor& x) {
  return at::linalg_vector_norm(x).item<double>();
}

double rms_of(const at::Tensor& x) {
  return norm_of(x) / std::sqrt(static_cast<double>(x.numel()));
}

double cosine(const at::Tensor& a, const at::Tensor& b) {
  const double product = norm_of(a) * norm_of(b);
  return product > 0 ? a.mul(b).sum().item<double>() / product : 0;
}

// Small angles from the chord: the cosine would round them away.
double angle_of(const at::Tensor& a, const at::Tensor& b) {
  const double na = norm_of(a);
  const double nb = norm_of(b);
  if (!(na > 0 && nb > 0)) return 0;
  const double chord = norm_of(a.div(na).sub_(b.div(nb)));
  return 2 * std::asin(std::min(1.0, chord / 2));
}

const MatrixRule* pipeline(const GroupOptions& options) {
  return std::get_if<MatrixRule>(&options.update());
}

// The share of W that the step removes, where it is the same for all entries.
double uniform_decay(const GroupOptions& options) {
  const auto decay = std::visit(
      [](const auto& r) {
        if constexpr (requires { r.decay; }) {
          return r.decay;
        } else {
          return Decay::kDecoupled;
        }
      },
      options.update());
  if (decay == Decay::kCautious || decay == Decay::kCautiousPalm) return 0;
  return decay_per_step(decay, options.lr(), options.weight_decay());
}

// What multiplies O in the update, where the shape alone decides it.
std::optional<double> known_scale(const MatrixRule& r, const LogicalMatrix& m) {
  const auto factor = shape_factor(r.scale, m.rows, m.columns);
  if (!factor) return std::nullopt;
  return *factor * r.scale_factor;
}

bool is_orthogonal(const MatrixRule& r) {
  return r.direction == Direction::kPolar &&
         (r.post == PostTransform::kNone || r.post == PostTransform::kUnitNorm);
}

std::optional<double> expected_rms(const GroupOptions& options,
                                   const LogicalMatrix& m) {
  const MatrixRule* r = pipeline(options);
  if (r == nullptr) return std::nullopt;
  if (r->scale == Scale::kExactRms) return 0.2 * r->scale_factor;
  const auto scale = known_scale(*r, m);
  if (!scale || !is_orthogonal(*r)) return std::nullopt;
  return *scale / std::sqrt(static_cast<double>(std::max(m.rows, m.columns)));
}

struct Change {
  at::Tensor before;
  at::Tensor after;
  at::Tensor gradient;
  at::Tensor update;  // U, defined where the rate is not zero
};

Json cheap_values(const Change& c, std::optional<double> expected,
                  bool rounded) {
  Json values = {{"w_rms", json_number(rms_of(c.after))}};
  if (c.update.defined()) {
    values["u_rms"] = json_number(rms_of(c.update));
    if (expected) values["u_rms_expected"] = json_number(*expected);
  }
  const double size = norm_of(c.before);
  if (size > 0) {
    values["u_w_ratio"] = json_number(norm_of(c.after.sub(c.before)) / size);
  }
  values["angle"] = json_number(angle_of(c.before, c.after));
  if (rounded) {
    const at::Tensor moved = c.gradient.ne(0);
    const double wanted = moved.sum().item<double>();
    const double kept =
        moved.logical_and(c.after.eq(c.before)).sum().item<double>();
    values["swallowed"] = json_number(wanted > 0 ? kept / wanted : 0);
  }
  return values;
}

void add_spectra(const Change& c, const at::Tensor& initial,
                 const at::Tensor& adam, std::optional<double> scale,
                 Json& values) {
  const linalg::Spectrum w = linalg::spectrum_of(c.after);
  values["w_norm"] = json_number(w.largest);
  values["w_entropy"] = json_number(w.entropy);
  values["w_stable_rank"] = json_number(w.stable_rank);
  const linalg::Spectrum d = linalg::spectrum_of(c.after.sub(initial));
  values["d_entropy"] = json_number(d.entropy);
  values["d_stable_rank"] = json_number(d.stable_rank);
  if (!c.update.defined()) return;
  values["u_norm"] = json_number(linalg::spectral_norm(c.update));
  if (scale) {
    values["ortho_err"] =
        json_number(linalg::orthogonality_error(c.update.div(*scale)));
  }
  values["cos_adam"] = json_number(cosine(c.update, adam));
}

}  // namespace

Diagnostics::Diagnostics(DiagnosticsOptions options)
    : options_(std::move(options)) {}

void Diagnostics::begin(std::int64_t step) {
  const auto due = [&](std::int64_t every) {
    return every > 0 && (step == 1 || step % every == 0);
  };
  cheap_ = due(options_.every);
  spectra_ = due(options_.spectra_every);
  layers_ = Json::object();
  before_.clear();
}

Json Diagnostics::take() { return std::move(layers_); }

bool Diagnostics::has_spectra(const Route& route) const {
  return options_.spectra_every > 0 && !route.matrices.empty() &&
         core::matches_pattern(options_.spectra, route.name);
}

void Diagnostics::before_update(const Route& route,
                                const GroupOptions& /*options*/) {
  const bool spectra = has_spectra(route);
  if (spectra) {
    Memory& m = memory_[route.name];
    const at::Tensor weight = plain(route.parameter);
    const at::Tensor g = plain(route.parameter.grad()).mul(gradient_scale_);
    if (!m.initial.defined()) {
      m.initial = weight.clone();
      m.first_moment = at::zeros_like(weight);
      m.second_moment = at::zeros_like(weight);
    }
    ++m.steps;
    m.first_moment.mul_(kBeta1).add_(g, 1 - kBeta1);
    m.second_moment.mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
  }
  if (cheap_ || (spectra_ && spectra)) {
    before_[route.name] = plain(route.parameter).clone();
  }
}

at::Tensor Diagnostics::adam_direction(const Route& route) const {
  const Memory& m = memory_.at(route.name);
  const auto t = static_cast<double>(m.steps);
  return m.first_moment.div(1 - std::pow(kBeta1, t))
      .div_(m.second_moment.div(1 - std::pow(kBeta2, t)).sqrt_().add_(kEps));
}

void Diagnostics::after_update(const Route& route,
                               const GroupOptions& options) {
  const auto found = before_.find(route.name);
  if (found == before_.end()) return;
  const at::Tensor after = plain(route.parameter);
  const auto type = route.parameter.scalar_type();
  const bool rounded = type == at::kBFloat16 || type == at::kHalf;
  Change whole{found->second,
               after,
               plain(route.parameter.grad()).mul(gradient_scale_),
               {}};
  if (options.lr() > 0) {
    whole.update = whole.before.mul(1 - uniform_decay(options))
                       .sub_(after)
                       .div_(options.lr());
  }
  if (route.matrices.empty()) {
    if (cheap_) layers_[route.name] = cheap_values(whole, {}, rounded);
    return;
  }
  const bool spectra = spectra_ && has_spectra(route);
  const at::Tensor adam = spectra ? adam_direction(route) : at::Tensor();
  const auto part = [&](const at::Tensor& x, const LogicalMatrix& m) {
    return rows_of(m, x.reshape({-1, m.columns}));
  };
  for (const LogicalMatrix& m : route.matrices) {
    Change c{part(whole.before, m),
             part(whole.after, m),
             part(whole.gradient, m),
             {}};
    if (whole.update.defined()) c.update = part(whole.update, m);
    Json values = cheap_values(c, expected_rms(options, m), rounded);
    if (spectra) {
      const MatrixRule* r = pipeline(options);
      const bool orthogonal = r != nullptr && is_orthogonal(*r);
      add_spectra(c, part(memory_.at(route.name).initial, m), part(adam, m),
                  orthogonal ? known_scale(*r, m) : std::nullopt, values);
    }
    layers_[m.name.empty() ? route.name : route.name + "." + m.name] =
        std::move(values);
  }
}

}  // namespace muonlab::optim
