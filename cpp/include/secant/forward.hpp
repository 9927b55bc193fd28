// The forward pass of a block of samples: pre-activations, sigmoids, softmax.
//
// Arrays of the hidden layer are cut into panels, each (samples, width): lanes run over units. In the output layer as many
// samples as a pack has lanes form a group, and its arrays are (outputs, lanes): lanes run over samples.
#pragma once

#include "cross_entropy.hpp"
#include "parallel.hpp"
#include "parameters.hpp"
#include "rows.hpp"
#include "softmax.hpp"

namespace secant::SECANT_ISA {

class Samples {
public:
    Samples(Workspace& work, const Parameters& net, const Inputs& x, std::size_t most, double h)
        : rows(work, x, most, h),
          net_(net),
          most_(most),
          z1_(work.take<double>(most * net.panels.units())),
          zc1_(work.take<double>(most * net.panels.units())),
          z2_(work.take<double>(pad(most) * net.outputs())),
          zc2_(work.take<double>(pad(most) * net.outputs())),
          y_(work.take<double>(pad(most) * net.outputs())) {}

    // z1 and zc1 of a panel's units for the samples [begin, end).
    void activate_hidden(std::size_t panel, std::size_t begin, std::size_t end) const {
        const Incoming<const double> w = net_.incoming(panel);
        const std::size_t packs = net_.panels.packs_in(panel), last = w.columns - (packs - 1) * lanes;
        for (std::size_t n = begin; n < end; ++n)
            for (std::size_t j = 0; j < packs * lanes; j += lanes)
                store(z1(panel, n) + j, load_part(w.bias + j, std::min(lanes, w.columns - j)));
        with_packs(packs, [&]<int P>() {
            for (std::size_t b = 0; b < rows.blocks(); ++b) {
                const double* w_b = w.rows + b * block_columns * w.stride;
                for (std::size_t n = begin; n < end; ++n) {
                    constexpr std::size_t together = most_packs / 2 - 1;  // as many as there are registers for
                    if (last == lanes && n + together <= end && full(n, n + together, b)) {
                        add_affine_full<P, together>(panel, n, b, w_b, w.stride);
                        n += together - 1;
                    } else {
                        add_affine<P>(rows.block(n, b), w_b, w.stride, last, z1(panel, n));
                    }
                }
            }
        });
        for (std::size_t n = begin; n < end; ++n)
            sigmoids(z1(panel, n), packs * lanes, z1(panel, n), zc1(panel, n));
    }

    // a2 of a group, of which samples [begin, end) exist; in the place of z2.
    void affine_output(std::size_t begin, std::size_t end) const {
        for (std::size_t first = 0; first < lanes; first += samples_at_once)
            for (std::size_t k = 0; k < net_.outputs(); k += 2 * lanes)
                affine_output(begin + first, end, k, z2_ + in_group(begin + first));
    }

    // z2, zc2 and y of a group, given a2.
    void activate_output(std::size_t begin) const {
        double* a2 = z2_ + in_group(begin);
        if (net_.sigmoid_output()) sigmoids(a2, net_.outputs() * lanes, a2, zc2_ + in_group(begin));
        softmax_lanes(a2, y_ + in_group(begin), net_.outputs());
    }

    double* z1(std::size_t panel, std::size_t n) const { return z1_ + (panel * most_ + n) * net_.panels.width(); }
    double* zc1(std::size_t panel, std::size_t n) const { return zc1_ + (panel * most_ + n) * net_.panels.width(); }

    // Of sample n, those of class k at [k * lanes].
    const double* z2(std::size_t n) const { return z2_ + in_group(n); }
    const double* zc2(std::size_t n) const { return zc2_ + in_group(n); }
    const double* y(std::size_t n) const { return y_ + in_group(n); }

    const Rows rows;

private:
    static constexpr std::size_t samples_at_once = std::min<std::size_t>(4, lanes);

    std::size_t in_group(std::size_t n) const { return n / lanes * lanes * net_.outputs() + n % lanes; }

    // a(P packs,) += x w, of one block of a row. w: the weights of the block's first input, of which the last pack has
    // `last` columns.  |error| <= (I + 1) eps (|x_n| |w| + |b|)
    template <int P>
    static void add_affine(const RowBlock& row, const double* w, std::size_t stride, std::size_t last, double* a) {
        Pack sum[P];
        for (std::size_t p = 0; p < P; ++p) sum[p] = load(a + p * lanes);
        const auto add = [&](const auto& load_last) {
            for (const Entry* e = row.begin; e < row.end; ++e) {
                const Pack x = broadcast(row.values[e->value]);
                const double* w_i = w + e->column * stride;
                for (std::size_t p = 0; p + 1 < P; ++p) sum[p] = fma(x, load(w_i + p * lanes), sum[p]);
                sum[P - 1] = fma(x, load_last(w_i + (P - 1) * lanes), sum[P - 1]);
            }
        };
        last == lanes ? add([](const double* from) { return load(from); })
                      : add([last](const double* from) { return load_part(from, last); });
        for (std::size_t p = 0; p < P; ++p) store(a + p * lanes, sum[p]);
    }

    bool full(std::size_t begin, std::size_t end, std::size_t b) const {
        for (std::size_t n = begin; n < end; ++n)
            if (!rows.block(n, b).full) return false;
        return true;
    }

    // The same for S samples from n on whose blocks are full: a weight, once loaded, serves all of them.
    template <int P, int S>
    void add_affine_full(std::size_t panel, std::size_t n, std::size_t b, const double* w, std::size_t stride) const {
        Pack sum[S][P];
        const double* x[S];
        for (std::size_t s = 0; s < S; ++s) {
            x[s] = rows.block(n + s, b).values;
            for (std::size_t p = 0; p < P; ++p) sum[s][p] = load(z1(panel, n + s) + p * lanes);
        }
        for (std::size_t i = 0; i < rows.columns(b); ++i)
            for (std::size_t p = 0; p < P; ++p) {
                const Pack w_i = load_once(w + i * stride + p * lanes);
                for (std::size_t s = 0; s < S; ++s) sum[s][p] = fma(broadcast(x[s][i]), w_i, sum[s][p]);
            }
        for (std::size_t s = 0; s < S; ++s)
            for (std::size_t p = 0; p < P; ++p) store(z1(panel, n + s) + p * lanes, sum[s][p]);
    }

    // a2 of a few samples from n on and two packs of classes from k on; those that do not exist repeat the last sample.
    void affine_output(std::size_t n, std::size_t end, std::size_t k, double* a2) const {
        constexpr std::size_t packs = 2;
        const std::size_t wide = std::min(packs, pad(net_.outputs() - k) / lanes), width = net_.panels.width();
        std::size_t sample[samples_at_once];
        Pack sum[samples_at_once][packs];
        for (std::size_t s = 0; s < samples_at_once; ++s) {
            sample[s] = std::min(n + s, end - 1);
            for (std::size_t p = 0; p < packs; ++p) sum[s][p] = load(net_.b2() + k + std::min(p, wide - 1) * lanes);
        }
        for (std::size_t panel = 0; panel < net_.panels.count; ++panel) {
            const double* z[samples_at_once];
            for (std::size_t s = 0; s < samples_at_once; ++s) z[s] = z1(panel, sample[s]);
            const std::size_t units = std::min(width, net_.hidden() - panel * width);
            for (std::size_t j = 0; j < units; ++j) {
                const double* w = net_.w2(panel * width + j) + k;
                const Pack w_0 = load(w), w_1 = load(w + (wide - 1) * lanes);
                for (std::size_t s = 0; s < samples_at_once; ++s) {
                    sum[s][0] = fma(broadcast(z[s][j]), w_0, sum[s][0]);
                    sum[s][1] = fma(broadcast(z[s][j]), w_1, sum[s][1]);
                }
            }
        }
        for (std::size_t s = 0; s < samples_at_once; ++s)
            for (std::size_t c = k; c < std::min(net_.outputs(), k + packs * lanes); ++c)
                a2[c * lanes + s] = lane(sum[s][(c - k) / lanes], (c - k) % lanes);
    }

    const Parameters& net_;
    std::size_t most_;
    double *z1_, *zc1_, *z2_, *zc2_, *y_;
};

// From so many samples on, the weights are read often enough to be copied first.
constexpr std::size_t enough_to_pack = 16;

inline std::size_t predict(const Network& net, const Inputs& x, Matrix y, int threads, void* memory) noexcept {
    const std::size_t most = std::min<std::size_t>(x.rows, 128);
    Workspace work(memory);
    const Parameters parameters(work, net, 1, x.rows >= enough_to_pack);
    const auto* pieces = one_a_thread<Samples>(work, threads, parameters, x, most, 0.0);
    if (work.counting()) return work.bytes();
    parallel(threads, [&](const Team& team) {
        team.share_and_wait(parameters.panels.count, [&](std::size_t panel) { parameters.pack(panel); });
        const Samples& own = pieces[team.rank];
        team.share((x.rows + most - 1) / most, [&](std::size_t task) {
            const std::size_t first = task * most, size = std::min(most, x.rows - first);
            for (std::size_t n = 0; n < size; ++n) own.rows.gather(n, first + n);
            for (std::size_t panel = 0; panel < parameters.panels.count; ++panel) own.activate_hidden(panel, 0, size);
            for (std::size_t n = 0; n < size; n += lanes) own.affine_output(n, std::min(size, n + lanes));
            for (std::size_t n = 0; n < size; n += lanes) own.activate_output(n);
            for (std::size_t n = 0; n < size; ++n)
                for (std::size_t k = 0; k < net.outputs(); ++k) y.row(first + n)[k] = own.y(n)[k * lanes];
        });
    });
    return 0;
}

}  // namespace secant::SECANT_ISA
