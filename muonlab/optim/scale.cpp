#include "muonlab/optim/scale.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "muonlab/core/error.h"

namespace muonlab::optim {

namespace {

constexpr std::array<core::Named<Scale>, 17> kScales = {
    {{Scale::kUnit, "s1"},
     {Scale::kAspect, "s2"},
     {Scale::kSpectral, "s3"},
     {Scale::kMatchRms, "s4"},
     {Scale::kMaxRoot, "s5"},
     {Scale::kNuclear, "s6"},
     {Scale::kExactRms, "s7"},
     {Scale::kRadius, "s8"},
     {Scale::kHyperball, "s9"},
     {Scale::kNamo, "namo"},
     {Scale::kUnit, "unit"},
     {Scale::kAspect, "original"},
     {Scale::kMatchRms, "match-rms-adamw"},
     {Scale::kNuclear, "nuclear"},
     {Scale::kExactRms, "rms"},
     {Scale::kRadius, "radius"},
     {Scale::kHyperball, "hyperball"}}};

}  // namespace

std::span<const core::Named<Scale>> scales() { return kScales; }

Scale scale_from_name(std::string_view name) {
  return core::value_in<Scale>(kScales, name, "scale");
}

std::string_view scale_name(Scale scale) {
  return core::name_in<Scale>(kScales, scale);
}

std::string_view scale_formula(Scale scale) {
  switch (scale) {
    case Scale::kUnit:
      return "1";
    case Scale::kAspect:
      return "sqrt(max(1,out/in))";
    case Scale::kSpectral:
      return "sqrt(out/in)";
    case Scale::kMatchRms:
      return "0.2*sqrt(max(out,in))";
    case Scale::kMaxRoot:
      return "sqrt(max(out,in))";
    case Scale::kNuclear:
      return "<D,O>";
    case Scale::kExactRms:
      return "0.2*sqrt(out*in)/|O|";
    case Scale::kRadius:
      return "radius*sqrt(out/in)";
    case Scale::kHyperball:
      return "|W0|/|O|";
    case Scale::kNamo:
      return "sqrt(1-b2^t)/(1-b^t)*|B|/sqrt(v)";
  }
  return "?";
}

const std::vector<std::string>& scale_names() {
  static const std::vector<std::string> kNames = core::names_in(scales());
  return kNames;
}

std::optional<double> shape_factor(Scale scale, std::int64_t d_out,
                                   std::int64_t d_in) {
  const auto rows = static_cast<double>(d_out);
  const auto columns = static_cast<double>(d_in);
  switch (scale) {
    case Scale::kUnit:
      return 1;
    case Scale::kAspect:
      return std::sqrt(std::max(1.0, rows / columns));
    case Scale::kSpectral:
    case Scale::kRadius:
      return std::sqrt(rows / columns);
    case Scale::kMatchRms:
      return 0.2 * std::sqrt(std::max(rows, columns));
    case Scale::kMaxRoot:
      return std::sqrt(std::max(rows, columns));
    case Scale::kNuclear:
    case Scale::kExactRms:
    case Scale::kHyperball:
    case Scale::kNamo:
      return std::nullopt;
  }
  return std::nullopt;
}

double scale_factor(Scale scale, std::int64_t d_out, std::int64_t d_in) {
  const auto factor = shape_factor(scale, d_out, d_in);
  if (!factor.has_value()) {
    throw Error(ErrorKind::kInternal,
                concat("scale ", scale_name(scale),
                       ": the step decides it, not the shape"));
  }
  return *factor;
}

}  // namespace muonlab::optim
