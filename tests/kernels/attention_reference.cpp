#include "tests/kernels/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace muonlab::testing {

namespace {

double dot(const Doubles& a, std::size_t i, const Doubles& b, std::size_t j,
           std::size_t n) {
  double sum = 0;
  for (std::size_t f = 0; f < n; ++f) sum += a[i * n + f] * b[j * n + f];
  return sum;
}

double magnitude(const Doubles& a, std::size_t i, const Doubles& b,
                 std::size_t j, std::size_t n) {
  double sum = 0;
  for (std::size_t f = 0; f < n; ++f) {
    sum += std::abs(a[i * n + f] * b[j * n + f]);
  }
  return sum;
}

}  // namespace

AttentionValues attention_reference(const AttentionInputs& in) {
  const std::size_t t = in.tokens;
  const std::size_t n = in.features;
  AttentionValues out;
  out.o.assign(t * n, 0);
  out.dq = out.dk = out.dv = out.o;
  out.lse.assign(t, 0);
  out.largest_logit = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < t; ++i) {
    Doubles p(i + 1);
    for (std::size_t j = 0; j <= i; ++j) {
      p[j] = in.scale * dot(in.q, i, in.k, j, n);
    }
    const double highest = *std::max_element(p.begin(), p.end());
    out.largest_logit = std::max(out.largest_logit, highest);
    double sum = 0;
    for (const double x : p) sum += std::exp(x - highest);
    out.lse[i] = highest + std::log(sum);
    for (std::size_t j = 0; j <= i; ++j) {
      p[j] = std::exp(p[j] - highest) / sum;
      for (std::size_t f = 0; f < n; ++f) {
        out.o[i * n + f] += p[j] * in.v[j * n + f];
      }
    }
    const double delta = dot(in.d_o, i, out.o, i, n);
    for (std::size_t j = 0; j <= i; ++j) {
      const double ds = p[j] * (dot(in.d_o, i, in.v, j, n) - delta) * in.scale;
      for (std::size_t f = 0; f < n; ++f) {
        out.dv[j * n + f] += p[j] * in.d_o[i * n + f];
        out.dq[i * n + f] += ds * in.k[j * n + f];
        out.dk[j * n + f] += ds * in.q[i * n + f];
      }
    }
  }
  return out;
}

AttentionBounds attention_bounds(const AttentionInputs& in,
                                 const AttentionValues& exact, double unit) {
  constexpr double kUnit = 0x1p-24;
  // Of the exponential, and a handful of roundings around it.
  constexpr double kExponential = 0x1p-20;
  const std::size_t t = in.tokens;
  const std::size_t n = in.features;
  const double sums = static_cast<double>(t + 8) * kUnit;
  const double dots = static_cast<double>(n + 8) * kUnit;
  AttentionBounds bounds;
  bounds.o.assign(t * n, 0x1p-100);
  bounds.dq = bounds.dk = bounds.dv = bounds.o;
  bounds.lse.assign(t, 0);
  for (std::size_t i = 0; i < t; ++i) {
    // A logit's error, and what is subtracted from it.
    double logit = 0;
    for (std::size_t j = 0; j <= i; ++j) {
      const double m = magnitude(in.q, i, in.k, j, n) * std::abs(in.scale);
      logit = std::max(logit, (dots + 4 * kUnit) * m);
    }
    logit += 4 * kUnit * std::abs(exact.lse[i]);
    bounds.largest_logit = std::max(bounds.largest_logit, logit);
    bounds.lse[i] = logit + sums + kExponential;
    // Both the exponential and the sum that divides it.
    const double p_error =
        std::expm1(2 * logit) + 2 * kExponential + unit + 2 * sums;
    std::vector<double> p(i + 1);
    for (std::size_t j = 0; j <= i; ++j) {
      p[j] = std::exp(in.scale * dot(in.q, i, in.k, j, n) - exact.lse[i]);
      for (std::size_t f = 0; f < n; ++f) {
        bounds.o[i * n + f] += p[j] * p_error * std::abs(in.v[j * n + f]);
      }
    }
    for (std::size_t f = 0; f < n; ++f) {
      bounds.o[i * n + f] += unit * std::abs(exact.o[i * n + f]);
    }
    const double delta = magnitude(in.d_o, i, exact.o, i, n);
    const double delta_error =
        magnitude(in.d_o, i, bounds.o, i, n) + dots * delta;
    for (std::size_t j = 0; j <= i; ++j) {
      const double dp = magnitude(in.d_o, i, in.v, j, n);
      const double ds_error =
          p[j] * std::abs(in.scale) *
          ((p_error + unit + sums) * (dp + delta) + dots * dp + delta_error);
      for (std::size_t f = 0; f < n; ++f) {
        bounds.dv[j * n + f] += p[j] * p_error * std::abs(in.d_o[i * n + f]);
        bounds.dq[i * n + f] += ds_error * std::abs(in.k[j * n + f]);
        bounds.dk[j * n + f] += ds_error * std::abs(in.q[i * n + f]);
      }
    }
  }
  for (std::size_t i = 0; i < t * n; ++i) {
    bounds.dq[i] += unit * std::abs(exact.dq[i]);
    bounds.dk[i] += unit * std::abs(exact.dk[i]);
    bounds.dv[i] += unit * std::abs(exact.dv[i]);
  }
  return bounds;
}

}  // namespace muonlab::testing
