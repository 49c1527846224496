// Muon and its relatives: momentum, pre, direction, post, scale and decay, in
// this order.
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "tests/reference/algebra.h"
#include "tests/reference/spectral.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

std::string scale_id(const std::string& name) {
  static const std::map<std::string, std::string> aliases = {
      {"unit", "s1"},     {"original", "s2"}, {"match-rms-adamw", "s4"},
      {"nuclear", "s6"},  {"rms", "s7"},      {"radius", "s8"},
      {"hyperball", "s9"}};
  const auto alias = aliases.find(name);
  return alias == aliases.end() ? name : alias->second;
}

// Square roots of the rows' sums of squares plus eps.
std::vector<double> row_lengths(const Matrix& a, double eps) {
  std::vector<double> lengths(a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    double squares = 0;
    for (std::size_t j = 0; j < a.columns; ++j) {
      squares += a.at(i, j) * a.at(i, j);
    }
    lengths[i] = std::sqrt(squares + eps);
  }
  return lengths;
}

// `average` <- its moving average with x * x; then x / (sqrt(average) + eps).
Matrix divided_by_rms(const Matrix& x, Matrix& average, double beta2,
                      double eps, const Matrix& measured) {
  blend(average, beta2, 1 - beta2, squared(measured));
  Matrix result = x;
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    result.values[i] /= std::sqrt(average.values[i]) + eps;
  }
  return result;
}

class MatrixFamily : public Twin {
 public:
  MatrixFamily(const Settings& settings, Noise noise)
      : Twin(noise), s_(settings), scale_(scale_id(s_.text("scale"))) {
    if (s_.number("qk_clip") != 0) {
      throw std::invalid_argument("replay: qk_clip must be 0");
    }
    if (scale_ == "s9" && s_.number("weight_decay") != 0) {
      throw std::invalid_argument("replay: hyperball with weight_decay");
    }
  }

  void step(Matrix& weight, const Matrix& gradient) override {
    if (s_.flag("skip_zero") && is_zero(gradient)) return;
    if (t_ == 0) start(weight);
    ++t_;
    Matrix g = gradient;
    if (s_.text("decay") == "l2") add(g, s_.number("weight_decay"), weight);
    Matrix d = pre(momentum(g), g);
    noise_.disturb(d);
    const Matrix o = post(direction_of(s_, d));
    if (scale_ == "s9") {
      turn(weight, o);
      return;
    }
    const double factor = scale(d, o, g) * s_.number("scale_factor");
    Matrix update = o;
    multiply_by(update, factor);
    descend(weight, update, s_.text("decay"), s_.number("lr"),
            s_.number("weight_decay"), factor);
  }

 private:
  void start(const Matrix& weight) {
    buffer_ = Matrix(weight.rows, weight.columns);
    pre_average_ = buffer_;
    post_average_ = buffer_;
    row_averages_.assign(weight.rows, 0.0);
    radius_ = frobenius_norm(weight);
    if (scale_ == "s9" && radius_ == 0) {
      throw std::invalid_argument("replay: hyperball of a zero matrix");
    }
  }

  Matrix momentum(const Matrix& g) {
    const double beta = s_.number("momentum");
    const bool nesterov = s_.flag("nesterov");
    const std::string form = s_.text("momentum_form");
    const double share = form == "heavy-ball" ? 1 : 1 - beta;
    blend(buffer_, beta, share, g);
    Matrix d = buffer_;
    if (form == "ema" || form == "heavy-ball") {
      if (nesterov) blend(d, beta, share, g);
    } else if (form == "ema-corrected") {
      const double now = 1 - std::pow(beta, t_);
      const double next = 1 - std::pow(beta, t_ + 1);
      if (nesterov) {
        blend(d, beta / next, (1 - beta) / now, g);
      } else {
        for (double& value : d.values) value /= now;
      }
    } else {
      throw std::invalid_argument("replay: no momentum_form " + form);
    }
    return d;
  }

  Matrix pre(Matrix d, const Matrix& g) {
    const std::string kind = s_.text("pre");
    if (kind == "none") return d;
    if (kind == "sign") {
      for (double& value : d.values) value = sign_of(value);
      return d;
    }
    const double eps = s_.number("pre_eps");
    if (kind == "second-moment") {
      return divided_by_rms(d, pre_average_, s_.number("pre_beta2"), eps, g);
    }
    std::vector<double> rows(d.rows, 1.0);
    std::vector<double> columns(d.columns, 1.0);
    if (kind == "rows" || kind == "rows-columns") rows = row_lengths(d, eps);
    if (kind == "columns" || kind == "rows-columns") {
      columns = row_lengths(transpose(d), eps);
    } else if (kind != "rows") {
      throw std::invalid_argument("replay: no pre " + kind);
    }
    for (std::size_t i = 0; i < d.rows; ++i) {
      for (std::size_t j = 0; j < d.columns; ++j) {
        d.at(i, j) /= rows[i] * columns[j];
      }
    }
    return d;
  }

  Matrix post(Matrix o) {
    const std::string kind = s_.text("post");
    if (kind == "none") return o;
    if (kind == "second-moment") {
      return divided_by_rms(o, post_average_, s_.number("post_beta2"),
                            s_.number("post_eps"), o);
    }
    if (kind == "row-second-moment") return normuon(o);
    if (kind == "unit-norm") {
      const double norm = frobenius_norm(o);
      const auto rank = static_cast<double>(std::min(o.rows, o.columns));
      if (norm > 0) multiply_by(o, std::sqrt(rank) / norm);
    } else if (kind == "sign") {
      for (double& value : o.values) value = sign_of(value);
    } else {
      throw std::invalid_argument("replay: no post " + kind);
    }
    return o;
  }

  // Each row over the root of its average mean square, and the norm as before.
  Matrix normuon(Matrix o) {
    const double beta2 = s_.number("post_beta2");
    const double eps = s_.number("post_eps");
    const double norm = frobenius_norm(o);
    for (std::size_t i = 0; i < o.rows; ++i) {
      const double row = frobenius_norm(row_block(o, i, 1));
      const double mean = row * row / static_cast<double>(o.columns);
      row_averages_[i] = beta2 * row_averages_[i] + (1 - beta2) * mean;
      for (std::size_t j = 0; j < o.columns; ++j) {
        o.at(i, j) /= std::sqrt(row_averages_[i]) + eps;
      }
    }
    multiply_by(o, norm / (frobenius_norm(o) + eps));
    return o;
  }

  double scale(const Matrix& d, const Matrix& o, const Matrix& g) {
    const auto rows = static_cast<double>(o.rows);
    const auto columns = static_cast<double>(o.columns);
    if (scale_ == "s1") return 1;
    if (scale_ == "s2") return std::sqrt(std::max(1.0, rows / columns));
    if (scale_ == "s3" || scale_ == "s8") return std::sqrt(rows / columns);
    if (scale_ == "s4") return 0.2 * std::sqrt(std::max(rows, columns));
    if (scale_ == "s5") return std::sqrt(std::max(rows, columns));
    if (scale_ == "s6") return inner(d, o);
    if (scale_ == "s7") {
      const double norm = frobenius_norm(o);
      if (norm == 0) return 0;
      return 0.2 * std::sqrt(rows * columns) / (norm + s_.number("scale_eps"));
    }
    if (scale_ == "namo") return namo(g);
    throw std::invalid_argument("replay: no scale " + scale_);
  }

  double namo(const Matrix& g) {
    const double beta2 = s_.number("namo_beta2");
    gradient_average_ = beta2 * gradient_average_ + (1 - beta2) * inner(g, g);
    return std::sqrt(1 - std::pow(beta2, t_)) /
           (1 - std::pow(s_.number("momentum"), t_)) * frobenius_norm(buffer_) /
           (std::sqrt(gradient_average_) + 1e-8);
  }

  // On the sphere of the first weight's norm.
  void turn(Matrix& weight, const Matrix& o) {
    const double norm = frobenius_norm(o);
    if (norm > 0) {
      const double angle = s_.number("lr") * s_.number("scale_factor");
      add(weight, -angle * radius_ / norm, o);
    }
    multiply_by(weight, radius_ / frobenius_norm(weight));
  }

  Settings s_;
  std::string scale_;
  int t_ = 0;
  Matrix buffer_;
  Matrix pre_average_;
  Matrix post_average_;
  std::vector<double> row_averages_;
  double gradient_average_ = 0;
  double radius_ = 0;
};

}  // namespace

TwinPointer matrix_family(const Settings& s, Noise noise) {
  return std::make_unique<MatrixFamily>(s, noise);
}

}  // namespace muonlab::reference
